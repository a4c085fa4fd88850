"""How other hypervisors hand over, and what works on any machine."""

from __future__ import annotations

import os
import re

from .machine import Machine
from .source import Handover, Source


class MountedFile(Source):
    """A file put there by hand; it wins over everything else."""

    name = '/mnt/cmdline'

    def poll(self) -> Handover | None:
        return self.found(self.machine.read('/mnt/cmdline'))


class KernelCommandLine(Source):
    """Words with `%` between the arguments, among the kernel's own."""

    name = 'kernel command line'

    def poll(self) -> Handover | None:
        words = self.machine.read('/proc/cmdline').split()
        text = ' '.join(word.replace('%', ' ') for word in words if '%' in word)
        return self.found(text) if re.search(r'(^|\s)type=', text) else None


class XenStore(Source):
    name = 'xenstore'
    interval_seconds = 1.0

    def poll(self) -> Handover | None:
        code, output = self.machine.run('xenstore-read', 'vm-data/cloudstack/init', timeout_seconds=10)
        return self.found(output) if code == 0 else None


class MachineId(Source):
    """VMware's `machine.id`, which vmtoolsd reads without its service."""

    name = 'machine.id'
    interval_seconds = 1.0

    def poll(self) -> Handover | None:
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

    def poll(self) -> Handover | None:
        for path in self.paths:
            content = self.machine.read_bytes(path)
            if content:
                return self.settle(path, content)
        return None

    def settle(self, path: str, content: bytes) -> Handover | None:
        now = self.machine.monotonic()
        if content != self.seen:
            self.seen, self.since = content, now
        if now - self.since < self.quiet_seconds:
            return None
        # Emptied, so that the next boot does not take it as new.
        os.truncate(self.machine.path(path), 0)
        return self.found(read_pool(content))


def read_pool(content: bytes) -> str:
    """The values that are arguments. Other programs on the host may use the same pool."""
    if len(content) % 2560 != 0:
        return content.replace(b'\0', b' ').decode(errors='replace')
    records = (content[start : start + 2560] for start in range(0, len(content), 2560))
    values = (record[512:].partition(b'\0')[0].decode(errors='replace') for record in records)
    return ' '.join(value for value in values if '=' in value)


class DmiString(Source):
    """A string in the firmware's tables that says `cmdline`, then the arguments: for VirtualBox."""

    name = 'DMI'

    def poll(self) -> Handover | None:
        for text in self.machine.read_bytes('/sys/firmware/dmi/tables/DMI').split(b'\0'):
            _, marker, value = text.decode(errors='replace').partition('cmdline')
            if marker and value[:1] in (':', '='):
                return self.found(value[1:])
        return None
