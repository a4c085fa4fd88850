"""dnsmasq for the roles that serve addresses and names."""

from __future__ import annotations

from ipaddress import IPv4Interface

from .arguments import Address, Arguments
from .machine import Machine
from .network import Interface, of_version
from .roles import Role

TEMPLATE = '/etc/dnsmasq.conf.tmpl'
# CloudStack writes these when machines come and go; dnsmasq wants them to be there.
FILES = ('/etc/dhcphosts.txt', '/etc/dhcpopts.txt')


def router_address(arguments: Arguments, role: Role, own: Address) -> Address | None:
    """The gateway that guests are told: the pair's common one, or another machine, or this one."""
    if role.name == 'dhcpsrvr':
        if arguments.text('defaultroute') == 'false':
            return None
        return of_version(arguments.address('gateway'), 4)
    return of_version(arguments.address('guestgw'), 4) or own


def render_dnsmasq(
    template: str, arguments: Arguments, role: Role, name: str, address: IPv4Interface, mtu: int | None
) -> str:
    own = address.ip
    first = of_version(arguments.address('dhcprange'), 4)
    if first is None or first not in address.network:
        first = address.network.network_address
    servers = [of_version(arguments.address(name), 4) for name in ('dns1', 'dns2')]
    external = [server for server in servers if server is not None]
    names = external if arguments.flag('useextdns') and external else [own, *external]
    router = router_address(arguments, role, own)
    domain = arguments.host_name('domain')
    search = arguments.host_names('dnssearchorder')
    lines = [
        f'interface={name}',
        f'listen-address={own}',
        f'dhcp-range={first},static,{address.netmask}',
        # An option without a value is not sent, which dnsmasq would do of its own accord.
        f'dhcp-option=option:router,{router}' if router else 'dhcp-option=3',
        f'dhcp-option=6,{",".join(map(str, names))}',
        *([f'domain={domain}', f'local=/{domain}/'] if domain else []),
        *([f'dhcp-option=option:domain-search,{",".join(search)}'] if search else []),
        *([f'dhcp-option=option:mtu,{mtu}'] if mtu else []),
    ]
    return template.replace('@guest@', '\n'.join(lines))


def configure_dnsmasq(
    machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface]
) -> None:
    if not role.serves_dhcp:
        return
    for path in FILES:
        if not machine.exists(path):
            machine.write(path, '')
    guest = next((one for one in interfaces if one.name == 'eth0'), None)
    if guest is None or guest.ipv4 is None:
        arguments.complain('no DHCP: eth0 has no address')
        return
    template = machine.read(TEMPLATE)
    text = render_dnsmasq(template, arguments, role, guest.name, guest.ipv4, guest.mtu)
    machine.write('/etc/dnsmasq.conf', text)
    machine.log(f'dnsmasq on {guest.name}')
