"""Grows the root file system to the end of a larger disk."""

from __future__ import annotations

import os
from typing import NamedTuple

from .machine import Machine

SECTOR_BYTES = 512
# Less than this is left over by alignment.
WORTHWHILE_BYTES = 64 << 20


class Growth(NamedTuple):
    """A disk to grow: partitions in the order in which they must grow, the root's last."""

    disk: str
    partitions: tuple[int, ...]
    root: str


def plan_growth(machine: Machine) -> Growth | None:
    """What to grow, read from the kernel without starting a program; None if the disk is used to its end."""
    device = root_device(machine)
    if device is None:
        return None
    folder = os.path.realpath(machine.path(f'/sys/dev/block/{device}'))
    disk, root = os.path.basename(os.path.dirname(folder)), os.path.basename(folder)
    number = read_number(f'{folder}/partition')
    if number is None:
        return None
    siblings = {}
    for name in os.listdir(os.path.dirname(folder)):
        sibling = os.path.join(os.path.dirname(folder), name)
        if (sibling_number := read_number(f'{sibling}/partition')) is not None:
            siblings[sibling_number] = (
                read_number(f'{sibling}/start') or 0,
                read_number(f'{sibling}/size') or 0,
            )
    start, size = siblings[number]
    if any(other > start for other, _ in siblings.values()):
        return None
    room = (read_number(f'{os.path.dirname(folder)}/size') or 0) - (start + size)
    if room * SECTOR_BYTES < WORTHWHILE_BYTES:
        return None
    # The kernel shows an extended partition as its first two sectors; a logical one, from 5 on, grows inside of it.
    extended = (
        tuple(one for one, (_, sectors) in siblings.items() if one <= 4 and sectors <= 2)
        if number >= 5
        else ()
    )
    return Growth(f'/dev/{disk}', (*extended, number), f'/dev/{root}')


def root_device(machine: Machine) -> str | None:
    """Number of the root file system's device, as `major:minor`."""
    for line in machine.read('/proc/self/mountinfo').splitlines():
        fields = line.split()
        if len(fields) > 4 and fields[3] == '/' and fields[4] == '/':
            return fields[2]
    return None


def read_number(path: str) -> int | None:
    try:
        with open(path, encoding='ascii') as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def grow_root(machine: Machine) -> None:
    growth = plan_growth(machine)
    if growth is None:
        return
    for partition in growth.partitions:
        machine.log(f'growing partition {partition} of {growth.disk}')
        code, output = machine.run('growpart', growth.disk, str(partition))
        # 1 means that there was nothing to do.
        if code not in (0, 1):
            raise RuntimeError(f'growpart {growth.disk} {partition} ended with {code}: {output}')
    machine.log(f'resize2fs {growth.root}')
    machine.must_run('resize2fs', growth.root)
