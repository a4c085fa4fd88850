"""The boot arguments: `name=value` words that CloudStack hands over. Nothing in them is ever evaluated."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .machine import Machine

RECORD = '/var/cache/cloud/cmd_line.json'

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

Value = TypeVar('Value')

NAME = re.compile(r'[A-Za-z0-9_.-]{1,64}')
LABEL = re.compile(r'(?!-)[A-Za-z0-9-]{1,63}(?<!-)')


def parse(text: str) -> dict[str, str]:
    """Reads the words of a hand-over. The last value of a name counts; words without `=` are ignored.

    A text without spaces has `%` between its words, for hypervisors that cannot carry spaces.
    """
    text = text.strip()
    words = text.split() if re.search(r'\s', text) else text.split('%')
    values = {}
    for word in words:
        name, equals, value = word.partition('=')
        if equals and NAME.fullmatch(name):
            values[name] = value
    return values


def is_host_name(text: str) -> bool:
    """Whether a text is a host or domain name; nothing else may reach files that programs read."""
    return len(text) <= 253 and all(LABEL.fullmatch(label) for label in text.split('.'))


class Arguments(NamedTuple):
    """The values by name, and readers that complain about what they refuse."""

    values: dict[str, str]
    complain: Callable[[str], None]

    def text(self, name: str) -> str:
        return self.values.get(name, '')

    def flag(self, name: str) -> bool:
        return self.text(name).lower() in ('true', '1', 'yes')

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        text = self.text(name)
        if text == '':
            return None
        # Not isdigit, which accepts the digits of every script.
        if re.fullmatch(r'[0-9]{1,9}', text) and lowest <= int(text) <= highest:
            return int(text)
        return self._refuse(name, f'no number from {lowest} to {highest}')

    def address(self, name: str) -> Address | None:
        """An address of either kind. `0.0.0.0` is CloudStack's way to say none."""
        text = self.text(name)
        if text in ('', '0.0.0.0', '::'):
            return None
        return self._try(name, text, to_address, 'no address')

    def interface(self, address: str, mask: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
        """An address with its network, from two arguments; the mask may be a length."""
        host = self.address(address)
        if host is None:
            return None
        # Otherwise an address without a mask would be a network of one host.
        return self._try(mask, f'{host}/{self.text(mask) or "none"}', ipaddress.ip_interface, 'no mask')

    def networks(self, name: str) -> list[Network]:
        """Networks separated by commas; anything else is left out."""
        found = (self._try(name, word, to_network, 'no network') for word in self._list(name))
        return [network for network in found if network is not None]

    def host_name(self, name: str) -> str:
        text = self.text(name)
        if text == '' or is_host_name(text):
            return text
        return self._refuse(name, 'no host name') or ''

    def host_names(self, name: str) -> list[str]:
        """Names or addresses separated by commas; anything else is left out."""
        words = self._list(name)
        good = [word for word in words if is_host_name(word) or is_address(word)]
        if good != words:
            self._refuse(name, 'no host name in one place or more')
        return good

    def _list(self, name: str) -> list[str]:
        return [word for word in re.split(r'[,|;]', self.text(name)) if word]

    def _try(self, name: str, text: str, read: Callable[[str], Value], fault: str) -> Value | None:
        try:
            return read(text)
        except ValueError:
            return self._refuse(name, fault)

    def _refuse(self, name: str, fault: str) -> None:
        # The value is in the record. It is not logged: it may be a secret in the wrong place.
        self.complain(f'ignoring the argument {name}: {fault}')


def to_address(text: str) -> Address:
    # An IPv6 address may end in %scope, which may be any text.
    if '%' in text:
        raise ValueError('an address with a scope')
    return ipaddress.ip_address(text)


def to_network(text: str) -> Network:
    to_address(text.partition('/')[0])
    return ipaddress.ip_network(text, strict=False)


def is_address(text: str) -> bool:
    try:
        to_address(text)
    except ValueError:
        return False
    return True


def save(machine: Machine, values: dict[str, str]) -> None:
    """Keeps the arguments for CloudStack's programs and for later boots. They may hold a password."""
    record = {'type': 'cmdline', 'cmd_line': values}
    machine.write(RECORD, json.dumps(record, indent=2) + '\n', mode=0o600)


def load(machine: Machine) -> dict[str, str]:
    """The arguments that were kept, if any."""
    try:
        values = json.loads(machine.read(RECORD))['cmd_line']
    except (ValueError, KeyError, TypeError):
        return {}
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
