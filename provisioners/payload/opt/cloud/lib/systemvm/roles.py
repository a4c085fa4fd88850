"""What a system VM can be, as a table: one row for each `type` that CloudStack hands over."""

from __future__ import annotations

from typing import NamedTuple

from .arguments import Arguments

PASSWORDS = 'cloud-passwd-srvr.service'


class Role(NamedTuple):
    name: str
    # Enabled and started; all units of other rows are disabled.
    units: tuple[str, ...]
    # The interface that the default route goes through.
    gateway: str = 'eth0'
    # The interface whose address belongs to the host name.
    own: str = 'eth0'
    # The interface that CloudStack logs in through, and the one on VMware and Hyper-V; empty for any.
    control: str = 'eth1'
    control_elsewhere: str = 'eth1'
    # The only interfaces that are configured at boot, where CloudStack attaches the others later.
    interfaces: tuple[str, ...] | None = None
    forwards: bool = False
    # Serves addresses and names to its network.
    serves_dhcp: bool = False
    # Takes uploads of images by HTTP.
    takes_uploads: bool = False


ROLES = {
    role.name: role
    for role in (
        Role('consoleproxy', ('cloud.service',), gateway='eth2', own='eth2', control='eth0'),
        Role(
            'secstorage',
            ('cloud.service', 'apache2.service', 'rpcbind.socket', 'rpcbind.service', 'nfs-client.target'),
            gateway='eth2',
            own='eth2',
            control='eth0',
            takes_uploads=True,
        ),
        Role(
            'router',
            ('dnsmasq.service', 'haproxy.service', 'apache2.service', PASSWORDS),
            gateway='eth2',
            forwards=True,
            serves_dhcp=True,
        ),
        Role(
            'vpcrouter',
            ('dnsmasq.service', 'haproxy.service'),
            control='eth0',
            control_elsewhere='eth0',
            interfaces=('eth0',),
            forwards=True,
        ),
        Role('dhcpsrvr', ('dnsmasq.service', 'apache2.service', PASSWORDS), serves_dhcp=True),
        Role('elbvm', ('haproxy.service',)),
        Role('ilbvm', ('haproxy.service',)),
    )
}

# Nothing was handed over, or a type that this image does not know: a machine to log in to.
DEFAULT = Role('default', (), control='', control_elsewhere='', forwards=True)

# The two halves of a redundant pair find out between them who serves; CloudStack brings their configuration.
REDUNDANT_UNITS = ('keepalived.service', 'conntrackd.service')
MANAGED_UNITS = tuple(sorted({unit for role in ROLES.values() for unit in role.units} | set(REDUNDANT_UNITS)))


def role_of(arguments: Arguments) -> Role:
    """The row that the arguments ask for, as they change it."""
    name = arguments.text('type')
    role = ROLES.get(name, DEFAULT)
    if role is DEFAULT and name:
        arguments.complain('the argument type names no role of this image; it gets the default role')
    if role.forwards and role is not DEFAULT and is_redundant(arguments):
        units = tuple(unit for unit in role.units if unit != 'dnsmasq.service')
        return role._replace(units=units + REDUNDANT_UNITS)
    return role


def is_redundant(arguments: Arguments) -> bool:
    return arguments.flag('redundant_router')


def control_interface(role: Role, family: str, arguments: Arguments) -> str:
    """Name of the interface that sshd listens on; empty for all of them."""
    if role.name in ('dhcpsrvr', 'elbvm', 'ilbvm'):
        return 'eth0' if arguments.flag('sshonguest') else 'eth1'
    return role.control_elsewhere if family in ('vmware', 'hyperv') else role.control
