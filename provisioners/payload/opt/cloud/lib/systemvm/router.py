"""dnsmasq for the roles that serve addresses and names."""

from __future__ import annotations

from typing import Optional

from .arguments import Address, Arguments
from .machine import Machine
from .network import Interface, of_version
from .roles import Role

TEMPLATE = '/etc/dnsmasq.conf.tmpl'
# CloudStack writes these when machines come and go; dnsmasq wants them to be there.
FILES = ('/etc/dhcphosts.txt', '/etc/dhcpopts.txt')


def router_address(arguments: Arguments, role: Role, own: Address) -> Optional[Address]:
    """The gateway that guests are told: the pair's common one, or another machine, or this one."""
    if role.name == 'dhcpsrvr':
        if arguments.text('defaultroute') == 'false':
            return None
        return of_version(arguments.address('gateway'), 4)
    return of_version(arguments.address('guestgw'), 4) or own


def render_dnsmasq(template: str, arguments: Arguments, role: Role, guest: Interface) -> str:
    own = guest.ipv4.ip
    first = of_version(arguments.address('dhcprange'), 4)
    if first is None or first not in guest.ipv4.network:
        first = guest.ipv4.network.network_address
    servers = [of_version(arguments.address(name), 4) for name in ('dns1', 'dns2')]
    external = [server for server in servers if server is not None]
    names = external if arguments.flag('useextdns') and external else [own, *external]
    domain = arguments.host_name('domain')
    search = arguments.host_names('dnssearchorder')
    lines = [
        f'interface={guest.name}',
        f'listen-address={own}',
        f'dhcp-range={first},static,{guest.ipv4.netmask}',
        # An option without a value is not sent, which dnsmasq would do of its own accord.
        f'dhcp-option=option:router,{address}' if (address := router_address(arguments, role, own)) else 'dhcp-option=3',
        f'dhcp-option=6,{",".join(map(str, names))}',
        *([f'domain={domain}', f'local=/{domain}/'] if domain else []),
        *([f'dhcp-option=option:domain-search,{",".join(search)}'] if search else []),
        *([f'dhcp-option=option:mtu,{guest.mtu}'] if guest.mtu else []),
    ]
    return template.replace('@guest@', '\n'.join(lines))


def configure_dnsmasq(machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface]) -> None:
    if not role.serves_dhcp:
        return
    for path in FILES:
        if not machine.exists(path):
            machine.write(path, '')
    guest = next((one for one in interfaces if one.name == 'eth0' and one.ipv4 is not None), None)
    if guest is None:
        arguments.complain('no DHCP: eth0 has no address')
        return
    machine.write('/etc/dnsmasq.conf', render_dnsmasq(machine.read(TEMPLATE), arguments, role, guest))
    machine.log(f'dnsmasq on {guest.name}')
