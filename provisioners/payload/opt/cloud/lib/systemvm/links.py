"""The order of the network cards: eth0 is the first of `nic_macs`, whatever the kernel found first."""

from __future__ import annotations

import fcntl
import re
import socket
import struct

from .arguments import Arguments
from .machine import Machine
from .network import HEADER

RULES = '/etc/udev/rules.d/70-persistent-net.rules'
MAC = re.compile(r'([0-9a-f]{2}:){5}[0-9a-f]{2}')

# From linux/sockios.h and linux/if.h.
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFNAME = 0x8913, 0x8914, 0x8923
IFF_UP = 1


def configure_links(machine: Machine, arguments: Arguments) -> None:
    macs = [mac for mac in arguments.text('nic_macs').lower().split('|') if mac]
    good = [mac for mac in macs if MAC.fullmatch(mac)]
    if good != macs or len(set(good)) != len(good):
        # With one missing, every card after it would get the wrong name.
        arguments.complain('ignoring the argument nic_macs: not one address of a card each')
        return
    if not macs:
        return
    machine.write(RULES, render_rules(macs))
    names = plan_names(read_cards(machine), macs)
    if names and machine.root == '/':
        rename(names)
    for now, then in names.items():
        machine.log(f'{now} becomes {then}')


def render_rules(macs: list[str]) -> str:
    lines = (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{mac}", NAME="eth{index}"'
        for index, mac in enumerate(macs)
    )
    return HEADER + '\n'.join(lines) + '\n'


def read_cards(machine: Machine) -> dict[str, str]:
    """Addresses of the cards by name, without bridges, tunnels and the like."""
    folder = '/sys/class/net'
    cards = (name for name in machine.names(folder) if machine.exists(f'{folder}/{name}/device'))
    return {name: machine.read(f'{folder}/{name}/address').strip() for name in cards}


def plan_names(cards: dict[str, str], macs: list[str]) -> dict[str, str]:
    """New names by old ones, for cards whose name changes. Cards that are not listed make way."""
    wanted = {mac: f'eth{index}' for index, mac in enumerate(macs)}
    names = {name: wanted[mac] for name, mac in cards.items() if mac in wanted}
    free = (f'eth{index}' for index in range(len(macs), 100))
    for name in cards:
        if name not in names:
            names[name] = next(free) if name in names.values() else name
    return {now: then for now, then in names.items() if now != then}


def rename(names: dict[str, str]) -> None:
    """Renames cards in two steps, since they may swap names; udev, which takes one card at a time, cannot."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for index, now in enumerate(names):
            request = fcntl.ioctl(control, SIOCGIFFLAGS, struct.pack('16sH14x', now.encode(), 0))
            flags = struct.unpack('16sH14x', request)[1] & ~IFF_UP
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack('16sH14x', now.encode(), flags))
            fcntl.ioctl(control, SIOCSIFNAME, struct.pack('16s16s', now.encode(), f'moving{index}'.encode()))
        for index, then in enumerate(names.values()):
            fcntl.ioctl(control, SIOCSIFNAME, struct.pack('16s16s', f'moving{index}'.encode(), then.encode()))
