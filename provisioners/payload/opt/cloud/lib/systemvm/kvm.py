"""How KVM and QEMU hand over: firmware configuration, a file of the guest agent's, and a virtio port of its own."""

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

    def poll(self) -> Handover | None:
        return self.found(self.machine.read('/sys/firmware/qemu_fw_cfg/by_name/opt/cloudstack/cmdline/raw'))


class AgentFile(Source):
    """The file that the host writes through the guest agent. It stays there for CloudStack's programs."""

    name = 'guest agent'

    def __init__(self, machine: Machine, taken: str = '') -> None:
        """`taken` identifies the file that an earlier boot took, which is not a new hand-over."""
        super().__init__(machine)
        self.taken = taken

    def poll(self) -> Handover | None:
        identity = self.machine.identify(CMDLINE)
        if identity in ('', self.taken) or is_being_written(self.machine, CMDLINE):
            return None
        return self.found(self.machine.read(CMDLINE))


def is_being_written(machine: Machine, path: str) -> bool:
    """Whether anything has the file open for writing: the kernel grants a read lease only if nothing has."""
    # The kernel sends this signal if a writer comes while we hold the lease, and by default it ends the process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        with open(machine.path(path), 'rb') as file:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        # No such file, or a file system without leases.
        return False
    return False


class VirtioPort(Source):
    """Lines `pubkey:…` and `cmdline:…` on the port whose *name* ends in `.vport`.

    Its number (/dev/vportNpM) says nothing: it depends on which ports the hypervisor attached, in which order.
    """

    name = 'virtio port'

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.ports: dict[str, int] = {}
        self.texts: dict[str, bytes] = {}

    def poll(self) -> Handover | None:
        for name in self.machine.names(PORTS):
            if name.endswith('.vport'):
                handover = self.listen(name)
                if handover is not None:
                    return handover
        return None

    def listen(self, name: str) -> Handover | None:
        try:
            if name not in self.ports:
                # QEMU keeps what the host sends until the port is opened here.
                self.ports[name] = os.open(self.machine.path(f'{PORTS}/{name}'), os.O_RDONLY | os.O_NONBLOCK)
                self.texts[name] = b''
            has_peer = self.receive(name)
        except OSError:
            # Gone, or open elsewhere: the next poll tries again.
            return None
        lines = self.texts[name].split(b'\n')
        # While the host may still go on, the last line is not complete.
        complete = lines[:-1] if has_peer else lines
        values = dict(line.decode(errors='replace').partition(':')[::2] for line in complete)
        return self.found(values.get('cmdline', ''), values.get('pubkey', ''))

    def receive(self, name: str) -> bool:
        """Reads what is there. Returns whether the host is still connected."""
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
