"""Interfaces, routes and names, written for ifupdown before it runs."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from .arguments import Address, Arguments, Network
from .machine import Machine
from .roles import Role, is_redundant

INTERFACES = '/etc/network/interfaces'

# Where a private network may lie (RFC 1918).
PRIVATE = tuple(ipaddress.ip_network(text) for text in ('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'))

HEADER = '# Written at boot from what CloudStack handed over.\n'


class Route(NamedTuple):
    to: Network
    via: Address


class Interface(NamedTuple):
    name: str
    ipv4: ipaddress.IPv4Interface | None
    ipv6: ipaddress.IPv6Interface | None
    # Asks a DHCP server instead.
    is_dynamic: bool
    # Whether boot brings it up.
    is_automatic: bool
    mtu: int | None
    gateway: Address | None
    gateway6: Address | None
    routes: tuple[Route, ...] = ()


def plan_interfaces(arguments: Arguments, role: Role) -> list[Interface]:
    """The interfaces that the arguments describe, in order. None means that the machine keeps what it has."""
    numbers = {
        int(match[1]) for name in arguments.values if (match := re.fullmatch(r'eth([0-9]{1,2})ip6?', name))
    }
    is_dynamic = arguments.text('bootproto') == 'dhcp'
    if is_dynamic:
        numbers.add(0)
    found = []
    for name in (f'eth{number}' for number in sorted(numbers)):
        if role.interfaces is not None and name not in role.interfaces:
            continue
        ipv4 = arguments.interface(f'{name}ip', f'{name}mask')
        ipv6 = arguments.interface(f'{name}ip6', f'{name}ip6prelen')
        if (ipv4 is not None and ipv4.version != 4) or (ipv6 is not None and ipv6.version != 6):
            arguments.complain(f'ignoring {name}: an address of the other kind')
            continue
        if ipv4 is None and ipv6 is None and not is_dynamic:
            continue
        has_gateway = name == role.gateway and not is_redundant(arguments)
        found.append(
            Interface(
                name,
                ipv4,
                ipv6,
                is_dynamic=is_dynamic and ipv4 is None,
                # Both halves of a redundant pair have the same public address: only the one that serves may have it up.
                is_automatic=not (is_redundant(arguments) and name == 'eth2'),
                mtu=arguments.number('mtu', 576, 65535),
                gateway=of_version(arguments.address('gateway'), 4) if has_gateway and ipv4 else None,
                gateway6=of_version(arguments.address('ip6gateway'), 6) if has_gateway and ipv6 else None,
            )
        )
    return add_routes(found, arguments)


def of_version(address: Address | None, version: int) -> Address | None:
    return address if address is not None and address.version == version else None


def add_routes(interfaces: list[Interface], arguments: Arguments) -> list[Interface]:
    """Puts the routes to CloudStack's own networks on the interface that the local gateway is a neighbour of."""
    gateway = of_version(arguments.address('localgw'), 4)
    if gateway is None:
        return interfaces
    networks: list[Network] = [network for network in arguments.networks('mgmtcidr') if network.version == 4]
    public = next((one.ipv4 for one in interfaces if one.name == 'eth2' and one.ipv4 is not None), None)
    # Behind a private public network these routes would hide the other half of it.
    is_system = arguments.text('type') in ('consoleproxy', 'secstorage')
    if is_system and public is not None and not any(public.ip in private for private in PRIVATE):
        networks.extend(PRIVATE)
    for index, interface in enumerate(interfaces):
        if interface.ipv4 is None or gateway not in interface.ipv4.network:
            continue
        # A route to a network that is attached would replace the attachment itself.
        attached = [one.ipv4.network for one in interfaces if one.ipv4 is not None]
        wanted = sorted({network for network in networks if network not in attached})
        routes = tuple(Route(network, gateway) for network in wanted)
        return [*interfaces[:index], interface._replace(routes=routes), *interfaces[index + 1 :]]
    arguments.complain('ignoring the argument localgw: no interface is on its network')
    return interfaces


def render_interfaces(interfaces: list[Interface]) -> str:
    """The text of /etc/network/interfaces."""
    automatic = ' '.join(['lo', *(one.name for one in interfaces if one.is_automatic)])
    stanzas = [f'auto {automatic}', 'iface lo inet loopback']
    for one in interfaces:
        if one.is_dynamic:
            stanzas.append(stanza(f'iface {one.name} inet dhcp', {}))
        if one.ipv4 is not None:
            options = {'address': one.ipv4, 'gateway': one.gateway, 'mtu': one.mtu}
            # A route that fails, as one does whose gateway is away, does not take the interface down with it.
            up = [f'up ip route replace {to} via {via} dev {one.name} || :' for to, via in one.routes]
            stanzas.append(stanza(f'iface {one.name} inet static', options, up))
        if one.ipv6 is not None:
            options = {'address': one.ipv6, 'gateway': one.gateway6}
            # The image has IPv6 off until a network has it.
            up = [f'pre-up echo 0 >/proc/sys/net/ipv6/conf/{one.name}/disable_ipv6']
            stanzas.append(stanza(f'iface {one.name} inet6 static', options, up))
    return HEADER + 'source /etc/network/interfaces.d/*\n\n' + '\n\n'.join(stanzas) + '\n'


def stanza(title: str, options: dict, lines: list[str] | None = None) -> str:
    rows = [f'{name} {value}' for name, value in options.items() if value is not None]
    return '\n'.join([title, *(f'  {row}' for row in rows + (lines or []))])


def render_resolver(arguments: Arguments) -> str:
    """The text of /etc/resolv.conf: the internal servers before the external ones, IPv6 last. Empty without any."""
    internal = ('internaldns1', 'internaldns2')
    external = ('dns1', 'dns2', 'ip6dns1', 'ip6dns2')
    servers = [arguments.address(name) for name in (*internal, *external)]
    if arguments.flag('useextdns') and any(servers[len(internal) :]):
        servers = servers[len(internal) :]
    found = list(dict.fromkeys(server for server in servers if server is not None))
    if not found:
        return ''
    domains = arguments.host_names('dnssearchorder') or [arguments.host_name('domain')]
    search = [f'search {" ".join(domains)}'] if any(domains) else []
    return HEADER + '\n'.join([*search, *(f'nameserver {server}' for server in found)]) + '\n'


def render_hosts(name: str, domain: str, address: Address | None) -> str:
    """The text of /etc/hosts. A name without an address of its own still resolves."""
    names = f'{name}.{domain} {name}' if domain else name
    lines = [
        '127.0.0.1\tlocalhost',
        f'{address or "127.0.1.1"}\t{names}',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'ff02::1\tip6-allnodes',
        'ff02::2\tip6-allrouters',
    ]
    return HEADER + '\n'.join(lines) + '\n'


def configure_network(machine: Machine, arguments: Arguments, role: Role) -> list[Interface]:
    interfaces = plan_interfaces(arguments, role)
    if interfaces:
        machine.write(INTERFACES, render_interfaces(interfaces))
        for one in interfaces:
            machine.log(f'{one.name}: {one.ipv4 or one.ipv6 or "DHCP"}, {len(one.routes)} routes')
    resolver = render_resolver(arguments)
    if resolver:
        machine.write('/etc/resolv.conf', resolver)
    return interfaces


def address_of(interfaces: list[Interface], name: str) -> Address | None:
    one = next((one for one in interfaces if one.name == name), None)
    if one is None:
        return None
    found = one.ipv4 or one.ipv6
    return found.ip if found is not None else None
