"""radvd, which announces an IPv6 network to guests."""

from __future__ import annotations

import ipaddress

from .arguments import Arguments
from .machine import Machine
from .network import HEADER, of_version
from .roles import Role

PATH = '/etc/radvd.conf'


def guest_network(arguments: Arguments) -> ipaddress.IPv6Interface | None:
    """The guests' network: the router's own, or the one that a pair of routers shares."""
    for words in (('eth0ip6', 'eth0ip6prelen'), ('guestgw6', 'guestcidr6size')):
        found = arguments.interface(*words)
        if isinstance(found, ipaddress.IPv6Interface):
            return found
    return None


def render_radvd(network: ipaddress.IPv6Interface, arguments: Arguments) -> str:
    servers = [of_version(arguments.address(name), 6) for name in ('ip6dns1', 'ip6dns2')]
    names = ''.join(
        f'  RDNSS {server} {{ AdvRDNSSLifetime 30; }};\n' for server in servers if server is not None
    )
    return f"""{HEADER}interface eth0
{{
  AdvSendAdvert on;
  MinRtrAdvInterval 5;
  MaxRtrAdvInterval 15;
  prefix {network.network} {{ AdvOnLink on; AdvAutonomous on; }};
{names}}};
"""


def configure_advertising(machine: Machine, arguments: Arguments, role: Role) -> None:
    if not role.forwards or role.is_node:
        return
    network = guest_network(arguments)
    if network is None:
        machine.remove(PATH)
        return
    machine.write(PATH, render_radvd(network, arguments))
    machine.log(f'IPv6 network {network.network} on eth0')
