"""The ways of KVM and QEMU: the firmware's configuration, the guest agent's file, and a port of one's own."""

from __future__ import annotations

import fcntl
import os
import signal

from .machine import Machine
from .source import Handover, Source

CMDLINE = '/var/cache/cloud/cmdline'
PORTS = '/dev/virtio-ports'
LIMIT_BYTES = 1 << 16


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
        if identity in ('', self.taken) or is_being_written(self.machine, CMDLINE):
            return None
        return self.found(self.machine.read(CMDLINE))


def is_being_written(machine: Machine, path: str) -> bool:
    """Whether somebody has a file open to write: the kernel grants a read lease only without any writer."""
    # A writer that comes while we hold the lease makes the kernel send this signal, which would end us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with open(machine.path(path), 'rb') as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        # Not there, or a filesystem without leases.
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

    def listen(self, name: str) -> Handover | None:
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
