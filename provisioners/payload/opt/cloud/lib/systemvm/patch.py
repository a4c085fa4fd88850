"""CloudStack's own scripts, which its host copies in over SSH at every start: waited for, and let take over.

With them the machine is CloudStack's: at every later boot its units run, and none of this package.
"""

from __future__ import annotations

import os
import zipfile
from typing import NamedTuple

from .archive import PACKED_LIMIT_BYTES, Archive, Refused, read_archive
from .arguments import Arguments
from .firewall import FOLDER, RULES, RULES6, render_rules
from .kernel import SETTINGS
from .kvm import is_being_written
from .machine import Machine
from .services import PRESET

INBOX = '/var/cache/cloud'
SCRIPTS = f'{INBOX}/cloud-scripts.tgz'
AGENT = f'{INBOX}/agent.zip'
SIGNATURE = f'{INBOX}/cloud-scripts-signature'
# Tells bootstrap.sh to unpack the agent.
REQUIRED = f'{INBOX}/patch.required'
# Where the archive stays, for CloudStack to compare at the next boot.
KEPT = '/usr/share/cloud/cloud-scripts.tgz'
PROGRAMS = '/usr/local/cloud/systemvm'
BOOTSTRAP = '/opt/cloud/bin/setup/bootstrap.sh'
SSHD = '/etc/ssh/sshd_config'
TIMER = '/etc/systemd/system/logrotate.timer.d'

# From the last of these files on CloudStack boots the machine, so they are written when everything else is done.
UNITS = frozenset(
    f'etc/systemd/system/cloud-{phase}.service' for phase in ('preinit', 'early-config', 'postinit')
)

# As long as CloudStack's scripts wait for it themselves.
WAIT_SECONDS = 120
# A copy that goes on is waited for, but a boot has its limit.
COPYING_SECONDS = 60
LONGEST_WAIT_SECONDS = 420
POLL_SECONDS = 1.0

# They run CloudStack's agent, which comes as the second file.
WITH_AGENT = ('consoleproxy', 'secstorage')
# Nothing is ever copied to these: what the image has is all that they get.
NEVER_PATCHED = ('cksnode', 'sharedfsvm')
# Unpacked, the agent may leave so much of the disk.
SPARE_BYTES = 256 << 20

SECRETS = ('authorized_key', 'keystore_password', 'privatekey', 'userdata', 'vmpassword')


def wait_seconds(arguments: Arguments) -> int:
    """How long to wait for the host to copy something in; 0 for not at all.

    `scriptswait` is a word of ours: a lab, where nobody copies anything, says 0.
    """
    if arguments.text('type') in ('', *NEVER_PATCHED):
        return 0
    wanted = arguments.number('scriptswait', 0, LONGEST_WAIT_SECONDS)
    return WAIT_SECONDS if wanted is None else wanted


class Awaited(NamedTuple):
    """The archive, or why there is none; neither where nobody copied anything."""

    archive: Archive | None = None
    refusal: str = ''


def await_archive(machine: Machine, limit_seconds: float, needs_agent: bool) -> Awaited:
    """Waits until both files are copied as a whole. A bad one is told once, and the next copy is waited for."""
    began = machine.monotonic()
    seen: list[str] = []
    refused: list[str] = []
    refusal = ''
    moved = began
    while True:
        now = machine.monotonic()
        found = [identify(machine, path) for path in (SCRIPTS, AGENT)]
        if found != seen:
            moved = now if any(found) else moved
            seen = found
        elif found[0] and found != refused and not is_anything_written(machine):
            try:
                if needs_agent:
                    check_agent(machine)
                return Awaited(read_archive(machine.read_bytes(SCRIPTS, PACKED_LIMIT_BYTES + 1)))
            except Refused as error:
                refused, refusal = found, str(error)
                machine.log(f'refusing what was copied in: {refusal}; waiting for the next copy')
        is_copying = any(found) and found != refused and now - moved < COPYING_SECONDS
        if now - began >= (LONGEST_WAIT_SECONDS if is_copying or refusal else limit_seconds):
            return Awaited(refusal=refusal)
        machine.sleep(POLL_SECONDS)


def identify(machine: Machine, path: str) -> str:
    """What tells one state of a file from the next; empty where there is none."""
    try:
        found = os.stat(machine.path(path))
    except OSError:
        return ''
    return f'{found.st_ino} {found.st_size} {found.st_mtime_ns}'


def is_anything_written(machine: Machine) -> bool:
    return any(is_being_written(machine, path) for path in (SCRIPTS, AGENT))


def check_agent(machine: Machine) -> None:
    """A zip has its table of contents at its end, so one that opens was copied to there."""
    if not machine.exists(AGENT):
        raise Refused(f'{AGENT} is missing')
    try:
        with zipfile.ZipFile(machine.path(AGENT)) as file:
            names = file.namelist()
            size = sum(entry.file_size for entry in file.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f'{AGENT} is no sound zip: {error}') from error
    for name in names:
        if name.startswith('/') or '..' in name.split('/'):
            raise Refused(f'{AGENT}: {name!r} leads out of it')
    status = os.statvfs(machine.path(INBOX))
    room = status.f_bavail * status.f_frsize - SPARE_BYTES
    if size > room:
        raise Refused(f'{AGENT} unpacks to {size >> 20} MiB, and there is room for {max(room, 0) >> 20}')


def install(machine: Machine, archive: Archive, arguments: Arguments, control: str, address: str) -> None:
    """Lays the scripts over the system and runs their bootstrap. Killed anywhere, the next boot begins anew.

    `control` is the interface that CloudStack logs in through, and `address` its own; each may be empty.
    """
    count = archive.unpack(machine, lambda name: name not in UNITS)
    machine.log(f'CloudStack scripts {archive.sha512[:16]}…: {count} files')
    if not machine.exists(BOOTSTRAP):
        raise RuntimeError(f'the archive has no {BOOTSTRAP}')
    machine.write(SIGNATURE, f'{archive.sha512}\n')
    machine.write(REQUIRED, '')
    adopt_firewall(machine, arguments.text('type'), control)
    bind_sshd(machine, address)
    os.sync()
    machine.log(f'running {BOOTSTRAP}')
    code, output = machine.run(BOOTSTRAP, timeout_seconds=480)
    machine.write('/var/log/bootstrap.log', redact(output, arguments) + '\n', mode=0o600)
    if code != 0:
        raise RuntimeError(f'{BOOTSTRAP} ended with {code}: /var/log/bootstrap.log has what it said')
    hand_over(machine, archive, arguments.text('type'))


def adopt_firewall(machine: Machine, kind: str, control: str) -> None:
    """The rules that the role's script edits and postinit loads; CloudStack writes them before the scripts come."""
    # A DHCP server's are a router's.
    template = machine.read(f'{FOLDER}/iptables-{"router" if kind == "dhcpsrvr" else kind}')
    if template:
        machine.write(RULES, render_rules(template, control) if control else template, mode=0o640)
    # Theirs for IPv6 are tables of nft's, beside which these would go on to drop what those accept.
    machine.remove(RULES6)
    machine.must_run('nft', '-f', '-', text='table ip6 filter\ndelete table ip6 filter\n')


def bind_sshd(machine: Machine, address: str) -> None:
    """Puts the control address into their sshd_config, which reads no other files."""
    lines = machine.read(SSHD).splitlines()
    if not address or not lines:
        return
    kept = [line for line in lines if line.lstrip('# \t').split(' ')[0].lower() != 'listenaddress']
    machine.write(SSHD, '\n'.join([*kept, f'ListenAddress {address}']) + '\n')


def hand_over(machine: Machine, archive: Archive, kind: str) -> None:
    """Lets CloudStack boot the machine from now on."""
    # What this package would add to the settings of CloudStack's scripts.
    for path in (SETTINGS, PRESET):
        machine.remove(path)
    # Theirs say in the timer itself how often logs are rotated.
    machine.remove_tree(TIMER)
    archive.unpack(machine, lambda name: name in UNITS)
    machine.must_run('systemctl', 'daemon-reload')
    machine.remove(AGENT)
    os.replace(machine.path(SCRIPTS), machine.path(KEPT))
    if kind not in WITH_AGENT:
        machine.remove_tree(PROGRAMS)
    os.sync()


def redact(text: str, arguments: Arguments) -> str:
    """Their scripts say each command, with what it was told."""
    for name in SECRETS:
        value = arguments.text(name)
        if value:
            text = text.replace(value, '…')
    return text
