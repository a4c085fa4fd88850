"""CloudStack's own scripts, which its host copies in over SSH at every start: waits for them and lets them take over.

From then on the machine is CloudStack's: at every later boot its units run, and nothing of this package.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from typing import NamedTuple

from .archive import PACKED_LIMIT_BYTES, Archive, Refused, read_archive
from .arguments import Arguments
from .firewall import FOLDER, RULES, RULES6, render_rules
from .identity import bind_sshd
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
TIMER = '/etc/systemd/system/logrotate.timer.d'

# Once the last of these files is there, CloudStack boots the machine, so they are written when everything else is done.
# In this order: while early-config is ours, a machine killed between two of them is configured and patched again.
UNITS = tuple(
    f'etc/systemd/system/cloud-{phase}.service' for phase in ('postinit', 'preinit', 'early-config')
)
# Theirs answers after four minutes whether or not the machine is up, so it must not be there before the machine is theirs.
VERSION = 'opt/cloud/bin/get_template_version.sh'
# Once the host finds it, it asks for certificates: bootstrap.sh must have unpacked the agent that they are for.
PATCHED = 'opt/cloud/bin/patched.sh'

LAST = (VERSION, PATCHED, *UNITS)

# How long CloudStack's own scripts wait.
WAIT_SECONDS = 120
# A copy under way is waited for, but not forever.
COPYING_SECONDS = 60
LONGEST_WAIT_SECONDS = 420
POLL_SECONDS = 1.0

# They run CloudStack's agent, which comes as the second file.
WITH_AGENT = ('consoleproxy', 'secstorage')
# Nothing is ever copied to these: the image has all they get.
NEVER_PATCHED = ('cksnode', 'sharedfsvm')
# What the unpacked agent must leave free.
SPARE_BYTES = 256 << 20

SECRETS = ('authorized_key', 'keystore_password', 'privatekey', 'router_password', 'userdata', 'vmpassword')


def wait_seconds(arguments: Arguments) -> int:
    """How long to wait for the host to copy something in; 0 for not at all.

    `scriptswait` is a word of ours: a lab, where nobody copies anything, says 0.
    """
    if arguments.text('type') in ('', *NEVER_PATCHED):
        return 0
    wanted = arguments.number('scriptswait', 0, LONGEST_WAIT_SECONDS)
    return WAIT_SECONDS if wanted is None else wanted


class Awaited(NamedTuple):
    """The archive, or why there is none; neither if nothing was copied."""

    archive: Archive | None = None
    refusal: str = ''


def await_archive(machine: Machine, limit_seconds: float, needs_agent: bool) -> Awaited:
    """Waits until both files are copied completely. A bad one is reported once, and the next copy is waited for."""
    began = machine.monotonic()
    seen: list[str] = []
    refused: list[str] = []
    refusal = ''
    moved = began
    while True:
        now = machine.monotonic()
        found = [machine.identify(path) for path in (SCRIPTS, AGENT)]
        if found != seen:
            moved = now if any(found) else moved
            seen = found
        elif found[0] and found != refused and not is_anything_written(machine):
            try:
                archive = read_archive(machine.read_bytes(SCRIPTS, PACKED_LIMIT_BYTES + 1))
                for name in (BOOTSTRAP.lstrip('/'), *UNITS):
                    if name not in archive.members or not archive.members[name].isreg():
                        raise Refused(f'it has no {name}')
                archive.check_places(machine)
                if needs_agent:
                    check_agent(machine)
                # The next copy may have begun meanwhile.
                if found == [machine.identify(path) for path in (SCRIPTS, AGENT)]:
                    return Awaited(archive)
            except Refused as error:
                refused, refusal = found, str(error)
                machine.log(f'refusing what was copied in: {refusal}; waiting for the next copy')
        is_copying = any(found) and found != refused and now - moved < COPYING_SECONDS
        if now - began >= (LONGEST_WAIT_SECONDS if is_copying or refusal else limit_seconds):
            # Half a copy is not the same as none.
            return Awaited(refusal=refusal or ('the copy did not come to its end' if any(found) else ''))
        machine.sleep(POLL_SECONDS)


def is_anything_written(machine: Machine) -> bool:
    return any(is_being_written(machine, path) for path in (SCRIPTS, AGENT))


def check_agent(machine: Machine) -> None:
    """Reads all of it: half a copy over an older file ends as that one did, and bootstrap.sh ignores unzip's verdict."""
    if not machine.exists(AGENT):
        raise Refused(f'{AGENT} is missing')
    try:
        with zipfile.ZipFile(machine.path(AGENT)) as file:
            check_entries(machine, file.infolist())
            bad = file.testzip()
    # RuntimeError where it is encrypted.
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError, zlib.error) as error:
        raise error if isinstance(error, Refused) else Refused(f'{AGENT} is no sound zip: {error}') from error
    if bad is not None:
        raise Refused(f'{AGENT} is no sound zip: {bad!r} is damaged')


def check_entries(machine: Machine, entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise Refused(f'{AGENT} is empty')
    for entry in entries:
        if entry.filename.startswith('/') or '..' in entry.filename.split('/'):
            raise Refused(f'{AGENT}: {entry.filename!r} leads out of it')
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f'{AGENT}: {entry.filename!r} is packed in a way that no agent is')
    size = sum(entry.file_size for entry in entries)
    status = os.statvfs(machine.path(INBOX))
    room = status.f_bavail * status.f_frsize - SPARE_BYTES
    if size > room:
        raise Refused(f'{AGENT} unpacks to {size >> 20} MiB, and there is room for {max(room, 0) >> 20}')


def install(machine: Machine, archive: Archive, arguments: Arguments, control: str, address: str) -> None:
    """Lays the scripts over the system and runs their bootstrap. If this is killed anywhere, the next boot starts over.

    `control` is the interface that CloudStack logs in through, and `address` its own; each may be empty.
    """
    count = archive.unpack(machine, lambda name: name not in LAST)
    machine.log(f'CloudStack scripts {archive.sha512[:16]}…: {count} files')
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
    """Leaves the rules that the role's script edits and postinit loads; CloudStack's host writes them before the scripts come."""
    # A DHCP server uses a router's.
    template = machine.read(f'{FOLDER}/iptables-{"router" if kind == "dhcpsrvr" else kind}')
    if template:
        machine.write(RULES, render_rules(template, control) if control else template, mode=0o640)
    # Their IPv6 rules are nft tables; these would still drop what those accept.
    machine.remove(RULES6)
    machine.must_run('nft', '-f', '-', text='table ip6 filter\ndelete table ip6 filter\n')


def hand_over(machine: Machine, archive: Archive, kind: str) -> None:
    """Lets CloudStack boot the machine from now on."""
    # Settings of ours that CloudStack's scripts do not expect.
    for path in (SETTINGS, PRESET):
        machine.remove(path)
    # Theirs set the interval in the timer itself.
    machine.remove_tree(TIMER)
    # The archive that was checked and run, not what is in the inbox by now. Only now, so that a machine whose bootstrap
    # failed does not claim to have these scripts.
    machine.write_bytes(KEPT, archive.packed)
    machine.write(SIGNATURE, f'{archive.sha512}\n')
    for path in (SCRIPTS, AGENT):
        machine.remove(path)
    if kind not in WITH_AGENT:
        machine.remove_tree(PROGRAMS)
    os.sync()
    for last in LAST:
        archive.unpack(machine, lambda name, last=last: name == last)
    machine.must_run('systemctl', 'daemon-reload')
    os.sync()


def redact(text: str, arguments: Arguments) -> str:
    """Their scripts print each command with its arguments: whole, cut at the `=` that ends base64, or quoted."""
    values = [arguments.text(name) for name in SECRETS]
    forms = {form for value in values for form in (value, value.partition('=')[0], value.replace("'", "'\\''"))}
    # And the parts between characters that a shell may quote.
    forms |= {word for value in values for word in re.findall(r'[A-Za-z0-9+/_-]{4,}', value)}
    # Longest first: one may be part of another.
    for form in sorted(forms - {''}, key=len, reverse=True):
        text = text.replace(form, '…')
    return text
