"""What an operator has a system VM do besides its role: user data for cloud-init, which arrives as a boot argument."""

from __future__ import annotations

import binascii
import zlib

from .arguments import Arguments
from .machine import Machine

SEED = '/var/lib/cloud/seed/nocloud'
CONFIG = '/etc/cloud/cloud.cfg.d/cloudstack.cfg'
LIMIT_BYTES = 1 << 20

STAGES = (('init', '--local'), ('init',), ('modules', '--mode=config'), ('modules', '--mode=final'))
STAGE_SECONDS = 300

# Only modules that run or write something: the network, names and accounts are CloudStack's.
SETTINGS = """\
# Written at boot, for the user data that CloudStack handed over.
datasource_list: ['NoCloud']
network:
  config: disabled
manage_etc_hosts: false
manage_resolv_conf: false
preserve_hostname: true
users: []
disable_root: false
ssh_pwauth: false
cloud_init_modules: [migrator, seed_random, bootcmd, write-files, growpart, resizefs, disk_setup, mounts, rsyslog]
cloud_config_modules: [locale, timezone, runcmd]
cloud_final_modules:
  - scripts-per-once
  - scripts-per-boot
  - scripts-per-instance
  - scripts-user
  - final-message
  - power-state-change
"""


def decode(text: str) -> bytes:
    """Unpacks gzip in base64, up to a limit: a small text may unpack to more than fits into memory."""
    packed = binascii.a2b_base64(text, strict_mode=True)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        content = unpacker.decompress(packed, LIMIT_BYTES)
    except zlib.error as error:
        raise ValueError(f'no gzip: {error}') from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError(f'cut short, or larger than {LIMIT_BYTES} bytes')
    return content


def run_user_data(machine: Machine, arguments: Arguments) -> None:
    """Runs cloud-init on it, stage by stage. A failure is the operator's, and keeps no machine from its role."""
    text = arguments.text('userdata')
    if text == '':
        return
    try:
        content = decode(text).decode()
    except ValueError as error:
        machine.log(f'ignoring the argument userdata: {error}')
        return
    name = arguments.host_name('name') or 'systemvm'
    machine.write(CONFIG, SETTINGS)
    machine.write(f'{SEED}/user-data', content, mode=0o600)
    machine.write(f'{SEED}/meta-data', f'instance-id: {name}\nlocal-hostname: {name}\n')
    for stage in STAGES:
        code, output = machine.run('cloud-init', *stage, timeout_seconds=STAGE_SECONDS)
        if code != 0:
            last = output.splitlines()[-1] if output else 'nothing'
            machine.log(f'user data: cloud-init {" ".join(stage)} ended with {code}: {last}')
            return
    machine.log('user data: cloud-init has run')
