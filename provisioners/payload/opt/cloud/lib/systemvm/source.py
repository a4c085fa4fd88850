"""A way of boot arguments into the guest, and what comes out of it."""

from __future__ import annotations

from typing import NamedTuple

from .machine import Machine


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

    def poll(self) -> Handover | None:
        raise NotImplementedError

    def close(self) -> None:
        """Gives back what the source holds."""

    def found(self, text: str, public_key: str = '') -> Handover | None:
        text = text.replace('\0', '').strip()
        return Handover(self.name, text, public_key.strip()) if '=' in text else None
