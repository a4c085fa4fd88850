"""Where boot arguments come from, and what is found there."""

from __future__ import annotations

from typing import NamedTuple

from .machine import Machine


class Handover(NamedTuple):
    """What was handed over: the arguments, and the management server's key if it comes separately."""

    source: str
    text: str
    public_key: str = ''


class Source:
    """One place to look for arguments. `poll` never blocks for long and returns nothing until it has all of them."""

    name = ''
    # Sources that start a program are not polled ten times a second.
    interval_seconds = 0.0

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def poll(self) -> Handover | None:
        raise NotImplementedError

    def close(self) -> None:
        """Releases what the source holds."""

    def found(self, text: str, public_key: str = '') -> Handover | None:
        text = text.replace('\0', '').strip()
        return Handover(self.name, text, public_key.strip()) if '=' in text else None
