"""What a system VM can be, as a table: one row for each `type` that CloudStack hands over."""

from __future__ import annotations

from typing import NamedTuple, Optional

from .arguments import Arguments


class Role(NamedTuple):
    name: str
    # Interfaces that are configured at boot; CloudStack configures others when it attaches them.
    interfaces: Optional[tuple[str, ...]]
    # Interface that the default route goes through.
    gateway: str
    # Interface whose address belongs to the host name.
    own: str
    # Interface that CloudStack logs in through, on KVM and Xen; and on VMware and Hyper-V.
    control: str
    control_elsewhere: str
    # Units that are enabled and started; all other rows' units are disabled.
    units: tuple[str, ...]
    forwards: bool = False
    # Serves addresses and names to its network.
    serves_dhcp: bool = False
    # Takes uploads of images by HTTP.
    takes_uploads: bool = False
    # What the packet filter is, below /etc/iptables; nothing for the role of a machine that was told nothing.
    filter: str = ''


PASSWORDS = 'cloud-passwd-srvr.service'

ROLES = {
    role.name: role
    for role in (
        Role('consoleproxy', None, 'eth2', 'eth2', 'eth0', 'eth1', ('cloud.service',), filter='consoleproxy'),
        Role(
            'secstorage',
            None,
            'eth2',
            'eth2',
            'eth0',
            'eth1',
            ('cloud.service', 'apache2.service', 'rpcbind.socket', 'rpcbind.service', 'nfs-client.target'),
            takes_uploads=True,
            filter='secstorage',
        ),
        Role(
            'router',
            None,
            'eth2',
            'eth0',
            'eth1',
            'eth1',
            ('dnsmasq.service', 'haproxy.service', 'apache2.service', PASSWORDS),
            forwards=True,
            serves_dhcp=True,
            filter='router',
        ),
        Role(
            'vpcrouter',
            ('eth0',),
            'eth0',
            'eth0',
            'eth0',
            'eth0',
            ('dnsmasq.service', 'haproxy.service'),
            forwards=True,
            filter='vpcrouter',
        ),
        Role(
            'dhcpsrvr',
            None,
            'eth0',
            'eth0',
            'eth1',
            'eth1',
            ('dnsmasq.service', 'apache2.service', PASSWORDS),
            serves_dhcp=True,
            filter='dhcpsrvr',
        ),
        Role('elbvm', None, 'eth0', 'eth0', 'eth1', 'eth1', ('haproxy.service',), filter='elbvm'),
        Role('ilbvm', None, 'eth0', 'eth0', 'eth1', 'eth1', ('haproxy.service',), filter='ilbvm'),
    )
}

# Nothing was handed over, or a type that this image does not know: a machine to log in to.
DEFAULT = Role('default', None, 'eth0', 'eth0', '', '', (), forwards=True)

# The two halves of a redundant pair find out between them who serves; CloudStack brings their configuration.
REDUNDANT_UNITS = ('keepalived.service', 'conntrackd.service')
MANAGED_UNITS = tuple(sorted({unit for role in ROLES.values() for unit in role.units} | set(REDUNDANT_UNITS)))


def role_of(arguments: Arguments) -> Role:
    """The row that the arguments ask for, as they change it."""
    name = arguments.text('type')
    role = ROLES.get(name, DEFAULT)
    if role is DEFAULT and name:
        arguments.complain('the argument type names no role of this image; it gets the default role')
    if role.forwards and is_redundant(arguments):
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
