"""What only routers have: dnsmasq, which serves addresses and names, and named routing tables."""

from __future__ import annotations

from ipaddress import IPv4Interface

from .arguments import Address, Arguments
from .machine import Machine
from .network import VPC_TABLES, Interface, of_version
from .roles import Role, is_redundant

TEMPLATE = '/etc/dnsmasq.conf.tmpl'
# CloudStack's name for a network that was given none.
DOMAIN = 'cloudnine.internal'
# CloudStack writes these when machines come and go; dnsmasq does not start without them.
FILES = ('/etc/dhcphosts.txt', '/etc/dhcpopts.txt')


def router_address(arguments: Arguments, role: Role, own: Address) -> Address | None:
    """The gateway that guests are told to use: the pair's shared address, another machine, or this one."""
    if role.name == 'dhcpsrvr':
        if arguments.text('defaultroute') == 'false':
            return None
        return of_version(arguments.address('gateway'), 4)
    return common_address(arguments, own)


def common_address(arguments: Arguments, own: Address) -> Address:
    """The address that a pair of routers shares, whichever of the two is active; or this one's own."""
    common = of_version(arguments.address('guestgw'), 4) if is_redundant(arguments) else None
    return common or own


def render_dnsmasq(
    template: str, arguments: Arguments, role: Role, guest: Interface | None, mtu: int | None
) -> str:
    """The text of /etc/dnsmasq.conf. Without a guest network, as a VPC router starts, it only serves names."""
    domain = arguments.host_name('domain') or DOMAIN
    lines = [f'domain={domain}', f'local=/{domain}/']
    # Guests ask external servers themselves.
    if arguments.flag('useextdns'):
        lines.append('port=0')
    search = arguments.host_names('dnssearchorder')
    if search:
        lines.append(f'dhcp-option=option:domain-search,{",".join(search)}')
    if mtu:
        lines.append(f'dhcp-option=option:mtu,{mtu}')
    if guest is not None:
        lines.append(f'interface={guest.name}')
        if guest.ipv4 is not None:
            lines.extend(lines_of_ipv4(arguments, role, guest.ipv4))
        if guest.ipv6 is not None:
            lines.extend(lines_of_ipv6(arguments, guest.ipv6.ip))
    return template.replace('@guest@', '\n'.join(lines))


def lines_of_ipv4(arguments: Arguments, role: Role, address: IPv4Interface) -> list[str]:
    own = address.ip
    first = of_version(arguments.address('dhcprange'), 4)
    if first is None or first not in address.network:
        first = address.network.network_address
    router = router_address(arguments, role, own)
    names = name_servers(arguments, ('dns1', 'dns2'), 4, common_address(arguments, own))
    return [
        f'listen-address={own}',
        f'dhcp-range={first},static,{address.netmask}',
        # Without a value the option is not sent, as dnsmasq otherwise does by itself.
        f'dhcp-option=option:router,{router}' if router else 'dhcp-option=3',
        f'dhcp-option=6,{",".join(names)}',
    ]


def lines_of_ipv6(arguments: Arguments, own: Address) -> list[str]:
    names = name_servers(arguments, ('ip6dns1', 'ip6dns2'), 6, '::')
    return [
        f'dhcp-range={own},static',
        f'dhcp-option=option6:dns-server,{",".join(f"[{name}]" for name in names)}',
        # Machines on some networks use the servers of another one.
        'dhcp-option=tag:nondefault6,option6:dns-server',
    ]


def name_servers(arguments: Arguments, words: tuple[str, ...], version: int, own: Address | str) -> list[str]:
    """The name servers that guests are told: this one first, unless only external ones are to be asked."""
    external = [str(server) for word in words if (server := of_version(arguments.address(word), version))]
    return external if arguments.flag('useextdns') and external else [str(own), *external]


def configure_dnsmasq(
    machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface]
) -> None:
    if not (role.serves_dhcp or role.name == 'vpcrouter'):
        return
    for path in FILES:
        if not machine.exists(path):
            machine.write(path, '')
    # dhcp_release is installed: leases end when CloudStack says so.
    machine.write('/var/cache/cloud/dnsmasq_managed_lease', '1\n')
    guest = next((one for one in interfaces if one.name == 'eth0'), None) if role.serves_dhcp else None
    if role.serves_dhcp and guest is None:
        arguments.complain('no DHCP: eth0 has no address')
        return
    mtu = guest.mtu if guest is not None else None
    machine.write('/etc/dnsmasq.conf', render_dnsmasq(machine.read(TEMPLATE), arguments, role, guest, mtu))
    machine.log(f'dnsmasq on {guest.name if guest is not None else "no interface yet"}')


def configure_tables(machine: Machine, role: Role) -> None:
    """Names the routing tables that CloudStack uses per interface, and makes the file where it keeps public gateways."""
    if not role.forwards or role.is_node:
        return
    tables = machine.read('/etc/iptables/rt_tables_init')
    if role.name == 'vpcrouter':
        tables += ''.join(f'{number}\t{name}\n' for number, name in zip((252, 251), VPC_TABLES, strict=True))
    machine.write('/etc/iproute2/rt_tables', tables)
    if not machine.exists('/var/cache/cloud/ifaceGwIp'):
        machine.write('/var/cache/cloud/ifaceGwIp', '')
