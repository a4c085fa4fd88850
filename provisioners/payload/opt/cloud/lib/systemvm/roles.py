"""What a system VM can be, as a table: one row for each `type` that CloudStack hands over."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import NamedTuple

from .arguments import Address, Arguments


class Role(NamedTuple):
    name: str
    # Enabled and started; all units of other rows are disabled.
    units: tuple[str, ...]
    # CloudStack's names for its services: it restarts them by these when it patches a running machine.
    services: tuple[str, ...] = ()
    # Interface of the default route: the first of these that has an address.
    gateway: tuple[str, ...] = ('eth0',)
    # Interface whose address the host name gets, likewise.
    own: tuple[str, ...] = ('eth0',)
    # Interface that CloudStack logs in through, and the one on VMware and Hyper-V; empty for any.
    control: str = 'eth1'
    control_elsewhere: str = 'eth1'
    # The only interfaces configured at boot, if CloudStack attaches the others later.
    interfaces: tuple[str, ...] | None = None
    forwards: bool = False
    # Serves addresses and names to its network.
    serves_dhcp: bool = False
    # Takes uploads of images by HTTP.
    takes_uploads: bool = False
    # Has CloudStack's agent.
    has_agent: bool = False
    # A user's machine: CloudStack copies nothing into it, and cloud-init sets it up.
    is_node: bool = False


ROLES = {
    role.name: role
    for role in (
        Role(
            'consoleproxy',
            ('cloud.service',),
            ('cloud',),
            gateway=('eth2',),
            own=('eth2', 'eth1'),
            control='eth0',
            has_agent=True,
        ),
        Role(
            'secstorage',
            ('cloud.service', 'apache2.service', 'rpcbind.socket', 'rpcbind.service', 'nfs-client.target'),
            ('cloud', 'apache2', 'nfs-common', 'portmap'),
            gateway=('eth2',),
            own=('eth2', 'eth1'),
            control='eth0',
            takes_uploads=True,
            has_agent=True,
        ),
        Role(
            'router',
            ('dnsmasq.service', 'haproxy.service', 'apache2.service', 'frr.service'),
            ('haproxy', 'apache2', 'frr', 'dnsmasq'),
            gateway=('eth2', 'eth0'),
            forwards=True,
            serves_dhcp=True,
        ),
        # Its web server has nothing to serve before there is a tier.
        Role(
            'vpcrouter',
            ('dnsmasq.service', 'haproxy.service', 'frr.service'),
            ('haproxy', 'apache2', 'frr', 'dnsmasq'),
            gateway=(),
            control='eth0',
            control_elsewhere='eth0',
            interfaces=('eth0',),
            forwards=True,
        ),
        Role('dhcpsrvr', ('dnsmasq.service', 'apache2.service'), ('dnsmasq', 'apache2'), serves_dhcp=True),
        Role('elbvm', ('haproxy.service',), ('haproxy',), own=('eth2', 'eth0')),
        Role('ilbvm', ('haproxy.service',), ('haproxy',)),
        Role(
            'cksnode', ('containerd.service',), control='', control_elsewhere='', forwards=True, is_node=True
        ),
        Role('sharedfsvm', (), control='', control_elsewhere='', is_node=True),
    )
}

# Nothing was handed over, or a type that this image does not know: one can log in, and that is all.
DEFAULT = Role('default', ())

# The two routers of a redundant pair decide which is active. CloudStack brings their configuration, and starts conntrackd
# and the active router's services.
REDUNDANT_UNIT = 'keepalived.service'
# Only the router that serves an IPv6 network may advertise it, so one of a pair does not until it is active.
ADVERTISING_UNIT = 'radvd.service'
MANAGED_UNITS = tuple(
    sorted(
        {unit for role in ROLES.values() for unit in role.units}
        | {REDUNDANT_UNIT, ADVERTISING_UNIT, 'conntrackd.service'}
    )
)
SERVICES = tuple(dict.fromkeys(name for role in ROLES.values() for name in role.services)) + (
    'keepalived',
    'conntrackd',
)


def role_of(arguments: Arguments) -> Role:
    """The row that the arguments ask for, with their changes."""
    name = arguments.text('type')
    role = ROLES.get(name, DEFAULT)
    if role is DEFAULT and name:
        arguments.complain('the argument type names no role of this image; it gets the default role')
        return role._replace(interfaces=(likely_control(arguments),))
    if not role.forwards or role.is_node:
        return role
    if is_redundant(arguments):
        role = role._replace(
            units=tuple(unit for unit in role.units if unit != 'dnsmasq.service') + (REDUNDANT_UNIT,),
            services=tuple(name for name in role.services if name != 'dnsmasq') + ('keepalived',),
        )
    elif arguments.text('eth0ip6'):
        role = role._replace(units=(*role.units, ADVERTISING_UNIT), services=(*role.services, 'radvd'))
    return role


def is_redundant(arguments: Arguments) -> bool:
    return arguments.flag('redundant_router')


def control_interface(role: Role, family: str, arguments: Arguments) -> str:
    """Name of the interface that sshd listens on; empty for all of them."""
    if role.name in ('dhcpsrvr', 'elbvm', 'ilbvm'):
        return 'eth0' if arguments.flag('sshonguest') else 'eth1'
    if role.name == DEFAULT.name:
        return likely_control(arguments)
    return role.control_elsewhere if family in ('vmware', 'hyperv') else role.control


def likely_control(arguments: Arguments) -> str:
    """The interface through which CloudStack would reach a machine of which nothing else is known.

    On KVM and XenServer it is link-local; on VMware and Hyper-V it is the management network's, where `localgw` is.
    """
    found = {name: arguments.interface(f'{name}ip', f'{name}mask') for name in ('eth0', 'eth1', 'eth2')}
    for name, one in found.items():
        if one is not None and one.ip.is_link_local:
            return name
    gateway: Address | None = arguments.address('localgw')
    for name, one in found.items():
        if one is not None and isinstance(gateway, IPv4Address) and gateway in one.network:
            return name
    return 'eth0'
