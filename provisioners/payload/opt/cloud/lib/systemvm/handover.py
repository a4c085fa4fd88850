"""Which sources a machine has, and the wait for the first that has something."""

from __future__ import annotations

from collections.abc import Sequence

from .elsewhere import DmiString, KernelCommandLine, KeyValuePool, MachineId, MountedFile, XenStore
from .kvm import AgentFile, FirmwareConfig, VirtioPort
from .machine import Machine
from .source import Handover, Source

POLL_SECONDS = 0.1

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
    """Polls all sources in turn until one has something or the time is up. Each is polled at least once."""
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
