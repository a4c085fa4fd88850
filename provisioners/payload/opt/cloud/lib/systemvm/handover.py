"""Which ways a machine has, and the wait for the first of them to have something."""

from __future__ import annotations

from collections.abc import Sequence

from .elsewhere import DmiString, KernelCommandLine, KeyValuePool, MachineId, MountedFile, XenStore
from .kvm import AgentFile, FirmwareConfig, VirtioPort
from .machine import Machine
from .source import Handover, Source

POLL_SECONDS = 0.1

# The ways of each hypervisor. A family without any here has those below alone.
SOURCES: dict[str, tuple[type[Source], ...]] = {
    'xen-pv': (KernelCommandLine, XenStore),
    'xen-hvm': (XenStore,),
    'vmware': (MachineId,),
    'hyperv': (KeyValuePool,),
    'virtualbox': (DmiString,),
}

# Asked everywhere, as it takes no process: a QEMU may call itself by any name.
SOURCES_OF_ALL = (FirmwareConfig, AgentFile, VirtioPort, KernelCommandLine)


def sources_of(machine: Machine, family: str, taken: str) -> list[Source]:
    """The ways that this hypervisor has, the winning one first."""
    kinds: dict[type[Source], None] = dict.fromkeys((MountedFile, *SOURCES.get(family, ()), *SOURCES_OF_ALL))
    return [AgentFile(machine, taken) if kind is AgentFile else kind(machine) for kind in kinds]


def await_handover(machine: Machine, sources: Sequence[Source], limit_seconds: float) -> Handover | None:
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
