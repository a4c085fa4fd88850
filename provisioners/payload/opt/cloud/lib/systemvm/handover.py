"""Where boot arguments come from. A source is asked again and again until one of them has something."""

from __future__ import annotations

import fcntl
import os
import re
import signal
from typing import NamedTuple, Optional, Sequence

from .machine import Machine

CMDLINE = '/var/cache/cloud/cmdline'
PORTS = '/dev/virtio-ports'
POLL_SECONDS = 0.1
LIMIT_BYTES = 1 << 16


class Handover(NamedTuple):
    """What was handed over: the arguments, and the management server's key where that comes separately."""

    source: str
    text: str
    public_key: str = ''


class Source:
    """A way of the arguments into the guest. `poll` never blocks for long and returns nothing until it has all."""

    name = ''
    # Those that start a program are not asked ten times a second.
    interval_seconds = 0.0

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def poll(self) -> Optional[Handover]:
        raise NotImplementedError

    def close(self) -> None:
        """Gives back what the source holds."""

    def found(self, text: str, public_key: str = '') -> Optional[Handover]:
        text = text.replace('\0', '').strip()
        return Handover(self.name, text, public_key.strip()) if '=' in text else None


class MountedFile(Source):
    """A file that somebody put there; it wins over everything else."""

    name = '/mnt/cmdline'

    def poll(self):
        return self.found(self.machine.read('/mnt/cmdline'))


class FirmwareConfig(Source):
    """QEMU's `-fw_cfg name=opt/cloudstack/cmdline,string=…`."""

    name = 'firmware configuration'

    def poll(self):
        return self.found(self.machine.read('/sys/firmware/qemu_fw_cfg/by_name/opt/cloudstack/cmdline/raw'))


class AgentFile(Source):
    """The file that the host writes through the guest agent. The same file stays for CloudStack's programs."""

    name = 'guest agent'

    def __init__(self, machine: Machine, taken: str = '') -> None:
        """`taken` is the identity of the file as an earlier boot took it: not a new hand-over."""
        super().__init__(machine)
        self.taken = taken

    def poll(self):
        identity = identify(self.machine)
        if identity in ('', self.taken) or self.is_being_written():
            return None
        return self.found(self.machine.read(CMDLINE))

    def is_being_written(self) -> bool:
        """Whether the agent has not closed it yet: the kernel grants a read lease only without any writer."""
        # A writer that comes while we hold the lease makes the kernel send this signal, which would end us.
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        try:
            with open(self.machine.path(CMDLINE), 'rb') as file:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        except OSError:
            # A filesystem without leases.
            return False
        return False


def identify(machine: Machine) -> str:
    """What tells one writing of the file from the next; empty where there is none, or nothing in it."""
    try:
        found = os.stat(machine.path(CMDLINE))
    except OSError:
        return ''
    return f'{found.st_ino} {found.st_size} {found.st_mtime_ns}' if found.st_size > 0 else ''


class VirtioPort(Source):
    """Lines `pubkey:…` and `cmdline:…` on the port whose *name* ends in `.vport`.

    Its number (/dev/vportNpM) says nothing: it depends on what other ports the hypervisor attached, and in which order.
    """

    name = 'virtio port'

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.ports: dict[str, int] = {}
        self.texts: dict[str, bytes] = {}

    def poll(self):
        for name in self.machine.names(PORTS):
            if name.endswith('.vport'):
                handover = self.listen(name)
                if handover is not None:
                    return handover
        return None

    def listen(self, name: str) -> Optional[Handover]:
        try:
            if name not in self.ports:
                # QEMU keeps what the host sends until somebody here opens the port.
                self.ports[name] = os.open(self.machine.path(f'{PORTS}/{name}'), os.O_RDONLY | os.O_NONBLOCK)
                self.texts[name] = b''
            has_peer = self.receive(name)
        except OSError:
            # Not there any more, or opened by somebody else: the next poll tries again.
            return None
        lines = self.texts[name].split(b'\n')
        # The last line has no end yet, which only matters as long as the host may go on.
        complete = lines[:-1] if has_peer else lines
        values = dict(line.decode(errors='replace').partition(':')[::2] for line in complete)
        return self.found(values.get('cmdline', ''), values.get('pubkey', ''))

    def receive(self, name: str) -> bool:
        """Takes what is there. Says whether the host is still connected."""
        while len(self.texts[name]) < LIMIT_BYTES:
            try:
                chunk = os.read(self.ports[name], 4096)
            except BlockingIOError:
                return True
            if chunk == b'':
                return False
            self.texts[name] += chunk
        return False

    def close(self) -> None:
        for port in self.ports.values():
            os.close(port)
        self.ports = {}


class KernelCommandLine(Source):
    """Words with `%` between the arguments, beside the kernel's own words."""

    name = 'kernel command line'

    def poll(self):
        words = self.machine.read('/proc/cmdline').split()
        text = ' '.join(word.replace('%', ' ') for word in words if '%' in word)
        return self.found(text) if re.search(r'(^|\s)type=', text) else None


class XenStore(Source):
    name = 'xenstore'
    interval_seconds = 1.0

    def poll(self):
        code, output = self.machine.run('xenstore-read', 'vm-data/cloudstack/init', timeout_seconds=10)
        return self.found(output) if code == 0 else None


class MachineId(Source):
    """VMware's `machine.id`, which vmtoolsd reads without its service."""

    name = 'machine.id'
    interval_seconds = 1.0

    def poll(self):
        code, output = self.machine.run('vmtoolsd', '--cmd', 'machine.id.get', timeout_seconds=10)
        return self.found(output) if code == 0 else None


class KeyValuePool(Source):
    """Hyper-V's pool 0: records of 512 bytes of key and 2048 of value, which the host writes one after the other."""

    name = 'key-value pool'
    paths = ('/var/lib/hyperv/.kvp_pool_0', '/var/opt/hyperv/.kvp_pool_0')
    quiet_seconds = 5.0

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.seen = b''
        self.since = 0.0

    def poll(self):
        for path in self.paths:
            content = self.machine.read_bytes(path)
            if content:
                return self.settle(path, content)
        return None

    def settle(self, path: str, content: bytes) -> Optional[Handover]:
        now = self.machine.monotonic()
        if content != self.seen:
            self.seen, self.since = content, now
        if now - self.since < self.quiet_seconds:
            return None
        # Emptied, so that the next boot does not take it for a new one.
        os.truncate(self.machine.path(path), 0)
        return self.found(read_pool(content))


def read_pool(content: bytes) -> str:
    """The values that are arguments. Other programs of the host may keep theirs in the same pool."""
    if len(content) % 2560 != 0:
        return content.replace(b'\0', b' ').decode(errors='replace')
    records = (content[start : start + 2560] for start in range(0, len(content), 2560))
    values = (record[512:].partition(b'\0')[0].decode(errors='replace') for record in records)
    return ' '.join(value for value in values if '=' in value)


class DmiString(Source):
    """A string in the firmware's tables that says `cmdline`, then the arguments: for VirtualBox."""

    name = 'DMI'

    def poll(self):
        for text in self.machine.read_bytes('/sys/firmware/dmi/tables/DMI').split(b'\0'):
            _, marker, value = text.decode(errors='replace').partition('cmdline')
            if marker and value[:1] in (':', '='):
                return self.found(value[1:])
        return None


SOURCES = {
    'kvm': (FirmwareConfig, AgentFile, VirtioPort, KernelCommandLine),
    'xen-pv': (KernelCommandLine, XenStore),
    'xen-hvm': (XenStore, KernelCommandLine),
    'vmware': (MachineId, KernelCommandLine),
    'hyperv': (KeyValuePool, KernelCommandLine),
    'virtualbox': (DmiString, KernelCommandLine),
    'unknown': (KernelCommandLine,),
}


def sources_of(machine: Machine, family: str, taken: str) -> list[Source]:
    """The ways that this hypervisor has, the winning one first."""
    kinds = (MountedFile, *SOURCES[family])
    return [AgentFile(machine, taken) if kind is AgentFile else kind(machine) for kind in kinds]


def await_handover(machine: Machine, sources: Sequence[Source], limit_seconds: float) -> Optional[Handover]:
    """Asks all sources in turn until the first has something, for so long at most. Each is asked once in any case."""
    end = machine.monotonic() + limit_seconds
    due = [0.0] * len(sources)
    try:
        while True:
            for index, source in enumerate(sources):
                if machine.monotonic() < due[index]:
                    continue
                handover = source.poll()
                if handover is not None:
                    return handover
                due[index] = machine.monotonic() + source.interval_seconds
            if machine.monotonic() >= end:
                return None
            machine.sleep(POLL_SECONDS)
    finally:
        for source in sources:
            source.close()
