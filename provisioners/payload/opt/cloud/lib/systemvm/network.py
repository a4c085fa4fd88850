"""Interfaces, routes and names, written for ifupdown before it runs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import NamedTuple

from .arguments import Address, Arguments, Network
from .machine import Machine
from .roles import Role, is_redundant

INTERFACES = '/etc/network/interfaces'

# Where a private network may lie (RFC 1918).
PRIVATE = tuple(ipaddress.ip_network(text) for text in ('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'))

HEADER = '# Written at boot from what CloudStack handed over.\n'

# Tables for the static routes of a VPC.
VPC_TABLES = ('static_route', 'static_route_back')

# The argument with each interface's MTU. `mtu` is for the storage network only.
MTUS = {'eth0': 'privateMtu', 'eth2': 'publicMtu', 'eth3': 'mtu'}


class Route(NamedTuple):
    to: Network
    via: Address


class Interface(NamedTuple):
    """One interface. CloudStack configures it if it has neither an address nor DHCP."""

    name: str
    ipv4: ipaddress.IPv4Interface | None = None
    ipv6: ipaddress.IPv6Interface | None = None
    # Whether it asks a DHCP server instead.
    is_dynamic: bool = False
    # Whether boot brings it up.
    is_automatic: bool = False
    # Whether it gets IPv6, even if the address comes later.
    has_ipv6: bool = False
    mtu: int | None = None
    gateway: Address | None = None
    gateway6: Address | None = None
    routes: tuple[Route, ...] = ()
    # Networks that are routed by CloudStack's own tables.
    routed: tuple[Network, ...] = ()
    # Neighbors that are pinged once it is up.
    called: tuple[Address, ...] = ()


def plan_interfaces(arguments: Arguments, role: Role) -> list[Interface]:
    """The interfaces that the arguments describe, in order. If there are none, the machine keeps what it has."""
    names = [
        name for name in named_interfaces(arguments) if role.interfaces is None or name in role.interfaces
    ]
    found = [one for name in names if (one := plan_interface(arguments, role, name)) is not None]
    if not found and arguments.text('bootproto') == 'dhcp':
        found = [Interface('eth0', is_dynamic=True, is_automatic=True)]
    gateway = next((name for name in role.gateway if any(one.name == name for one in found)), None)
    if not is_redundant(arguments):
        found = [with_gateway(one, arguments) if one.name == gateway else one for one in found]
    return add_routes(found, arguments) + plan_spares(arguments, role, len(found))


def named_interfaces(arguments: Arguments) -> list[str]:
    """Names of the interfaces that the arguments have an address for; the storage network's is the fourth card."""
    numbers = {
        int(match[1]) for name in arguments.values if (match := re.fullmatch(r'eth([0-9]{1,2})ip6?', name))
    }
    if arguments.text('storageip'):
        numbers.add(3)
    return [f'eth{number}' for number in sorted(numbers)]


def plan_interface(arguments: Arguments, role: Role, name: str) -> Interface | None:
    is_storage = name == 'eth3' and bool(arguments.text('storageip'))
    words = ('storageip', 'storagenetmask') if is_storage else (f'{name}ip', f'{name}mask')
    ipv4 = arguments.interface(*words)
    ipv6 = arguments.interface(f'{name}ip6', f'{name}ip6prelen')
    if (ipv4 is not None and ipv4.version != 4) or (ipv6 is not None and ipv6.version != 6):
        arguments.complain(f'ignoring {name}: an address of the other kind')
        return None
    # A node asks for what it was not told. Of any other, CloudStack always knows eth0, which it logs in through.
    is_dynamic = (arguments.text('bootproto') == 'dhcp' and name != 'eth0') or (role.is_node and ipv4 is None)
    if ipv4 is None and ipv6 is None and not is_dynamic:
        return None
    vpc = arguments.networks('vpccidr') if role.name == 'vpcrouter' else []
    return Interface(
        name=name,
        ipv4=None if is_dynamic else ipv4,
        ipv6=ipv6,
        is_dynamic=is_dynamic,
        # The public side is up only on the active router of a redundant pair.
        is_automatic=not (is_redundant(arguments) and name == 'eth2'),
        has_ipv6=ipv6 is not None or (name == 'eth0' and arguments.address('guestgw6') is not None),
        mtu=arguments.number(MTUS[name], 576, 65535) if name in MTUS else None,
        routed=tuple(network for network in vpc if network.version == 4),
    )


def with_gateway(one: Interface, arguments: Arguments) -> Interface:
    return one._replace(
        gateway=of_version(arguments.address('gateway'), 4) if one.ipv4 else None,
        gateway6=of_version(arguments.address('ip6gateway'), 6) if one.ipv6 else None,
    )


def plan_spares(arguments: Arguments, role: Role, first: int) -> list[Interface]:
    """The public interfaces that Hyper-V attaches in advance, since it cannot later; CloudStack gives them addresses."""
    count = arguments.number('extra_pubnics', 0, 16) if role.name == 'router' else None
    return [Interface(f'eth{number}') for number in range(first, first + (count or 0))]


def of_version(address: Address | None, version: int) -> Address | None:
    return address if address is not None and address.version == version else None


def add_routes(interfaces: list[Interface], arguments: Arguments) -> list[Interface]:
    """Puts the routes to CloudStack's own networks on the interface that the local gateway is a neighbor of."""
    gateway = of_version(arguments.address('localgw'), 4)
    if gateway is None:
        return interfaces
    networks: list[Network] = [network for network in arguments.networks('mgmtcidr') if network.version == 4]
    public = next((one.ipv4 for one in interfaces if one.name == 'eth2' and one.ipv4 is not None), None)
    # If the public network is itself private, these routes would hide the rest of it.
    is_system = arguments.text('type') in ('consoleproxy', 'secstorage')
    if is_system and public is not None and not any(public.ip in private for private in PRIVATE):
        networks.extend(PRIVATE)
    for index, interface in enumerate(interfaces):
        if interface.ipv4 is None or gateway not in interface.ipv4.network:
            continue
        # A route to an attached network would replace the direct one.
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
        # IPv6 is off in the image until a network has it.
        with_ipv6 = (
            [f'pre-up echo 0 >/proc/sys/net/ipv6/conf/{one.name}/disable_ipv6'] if one.has_ipv6 else []
        )
        if one.is_dynamic:
            stanzas.append(stanza(f'iface {one.name} inet dhcp', {}))
        elif one.ipv4 is not None:
            options = {'address': one.ipv4, 'gateway': one.gateway, 'mtu': one.mtu}
            # A route that fails, for instance because its gateway is down, does not take the interface down with it.
            up = [f'up ip route replace {to} via {via} dev {one.name} || :' for to, via in one.routes]
            up += [
                f'up ip rule add from {of} table {table} || :' for of in one.routed for table in VPC_TABLES
            ]
            up += [f'up timeout 3 ping -n -c 3 {neighbor} >/dev/null 2>&1 &' for neighbor in one.called]
            stanzas.append(stanza(f'iface {one.name} inet static', options, with_ipv6 + up))
        elif one.ipv6 is None:
            stanzas.append(stanza(f'iface {one.name} inet manual', {}))
        if one.ipv6 is not None:
            # CloudStack gives an address out once, and services bind to it at once: no duplicate address detection.
            options = {'address': one.ipv6, 'gateway': one.gateway6, 'dad-attempts': 0}
            # The kernel of a machine that forwards accepts advertisements only with the value 2.
            options['accept_ra'] = 2 if one.name == 'eth2' and one.gateway6 is None else 0
            stanzas.append(stanza(f'iface {one.name} inet6 static', options, with_ipv6))
    return HEADER + 'source /etc/network/interfaces.d/*\n\n' + '\n\n'.join(stanzas) + '\n'


def stanza(title: str, options: dict[str, object], lines: list[str] | None = None) -> str:
    rows = [f'{name} {value}' for name, value in options.items() if value is not None]
    return '\n'.join([title, *(f'  {row}' for row in rows + (lines or []))])


def render_resolver(arguments: Arguments) -> str:
    """The text of /etc/resolv.conf: internal servers before external ones, IPv6 last. Empty without servers."""
    names = ('internaldns1', 'internaldns2', 'dns1', 'dns2', 'ip6dns1', 'ip6dns2')
    servers = [arguments.address(name) for name in names]
    found = list(dict.fromkeys(server for server in servers if server is not None))
    if not found:
        return ''
    domains = arguments.host_names('dnssearchorder') or [arguments.host_name('domain')]
    search = [f'search {" ".join(domains)}'] if any(domains) else []
    return HEADER + '\n'.join([*search, *(f'nameserver {server}' for server in found)]) + '\n'


def render_hosts(name: str, domain: str, address: Address | None, served: Sequence[Address] = ()) -> str:
    """The text of /etc/hosts. A name without an address of its own still resolves.

    `served` are the addresses at which guests find their user data.
    """
    names = f'{name}.{domain} {name}' if domain else name
    lines = [
        '127.0.0.1\tlocalhost',
        f'{address or "127.0.1.1"}\t{names}',
        *(f'{one}\tdata-server' for one in served),
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'ff02::1\tip6-allnodes',
        'ff02::2\tip6-allrouters',
    ]
    return HEADER + '\n'.join(lines) + '\n'


def with_calls(interfaces: list[Interface], arguments: Arguments) -> list[Interface]:
    """Has each interface ping its gateways: VMware's switches learn about a card from what it sends."""
    local = of_version(arguments.address('localgw'), 4)
    return [
        one._replace(
            called=tuple(
                address
                for address in dict.fromkeys((one.gateway, local))
                if address is not None and one.ipv4 is not None and address in one.ipv4.network
            )
        )
        for one in interfaces
    ]


def configure_network(
    machine: Machine, arguments: Arguments, role: Role, family: str = ''
) -> list[Interface]:
    interfaces = plan_interfaces(arguments, role)
    if family == 'vmware':
        interfaces = with_calls(interfaces, arguments)
    if interfaces:
        machine.write(INTERFACES, render_interfaces(interfaces))
        for one in interfaces:
            machine.log(f'{one.name}: {describe(one)}, {len(one.routes)} routes')
    resolver = render_resolver(arguments)
    if resolver:
        machine.write('/etc/resolv.conf', resolver)
        # The servers that dnsmasq asks; CloudStack's programs rewrite it.
        servers = [line for line in resolver.splitlines() if line.startswith('nameserver ')]
        machine.write('/etc/dnsmasq-resolv.conf', HEADER + '\n'.join(servers) + '\n')
    return interfaces


def describe(one: Interface) -> str:
    if one.is_dynamic:
        return 'DHCP'
    return str(one.ipv4 or one.ipv6 or 'for CloudStack to configure')


def addresses_of(interfaces: list[Interface], name: str) -> list[Address]:
    """Addresses that an interface is given, IPv4 first."""
    found = (address for one in interfaces if one.name == name for address in (one.ipv4, one.ipv6))
    return [address.ip for address in found if address is not None]


def address_of(interfaces: list[Interface], name: str) -> Address | None:
    return next(iter(addresses_of(interfaces, name)), None)
