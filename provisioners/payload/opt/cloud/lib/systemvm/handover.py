"""Which sources a machine has, and the wait for the first that has something."""

from __future__ import annotations

from collections.abc import Sequence

from .elsewhere import DmiString, KernelCommandLine, KeyValuePool, MachineId, MountedFile, XenStore
from .kvm import AgentFile, FirmwareConfig, VirtioPort
from .machine import Machine
from .source import Handover, Source

POLL_SECONDS = 0.1

# There while udev has events to handle: on a starved host, for minutes after the kernel has found the devices.
UDEV_QUEUE = '/run/udev/queue'
# A device that never settles must not keep the machine from booting.
SETTLE_SECONDS = 180

# Sources of each hypervisor. A family that is not listed only has those below.
SOURCES: dict[str, tuple[type[Source], ...]] = {
    'xen-pv': (KernelCommandLine, XenStore),
    'xen-hvm': (XenStore,),
    'vmware': (MachineId,),
    'hyperv': (KeyValuePool,),
    'virtualbox': (DmiString,),
}

# Polled everywhere, since that starts no program: QEMU may pose as anything.
SOURCES_OF_ALL = (FirmwareConfig, AgentFile, VirtioPort, KernelCommandLine)


def sources_of(machine: Machine, family: str, taken: str) -> list[Source]:
    """The sources of this hypervisor; an earlier one wins."""
    kinds: dict[type[Source], None] = dict.fromkeys((MountedFile, *SOURCES.get(family, ()), *SOURCES_OF_ALL))
    return [AgentFile(machine, taken) if kind is AgentFile else kind(machine) for kind in kinds]


def await_handover(machine: Machine, sources: Sequence[Source], limit_seconds: float) -> Handover | None:
    """Polls all sources in turn until one has something or the time is up. Each is polled at least once.

    The time begins when udev has set up what there is: until then, an agent may still lack its device.
    """
    end = machine.monotonic() + limit_seconds
    latest = end + (SETTLE_SECONDS if limit_seconds else 0)
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
            if machine.exists(UDEV_QUEUE):
                end = min(machine.monotonic() + limit_seconds, latest)
            if machine.monotonic() >= end:
                return None
            machine.sleep(POLL_SECONDS)
    finally:
        for source in sources:
            source.close()
