"""Kernel settings that depend on the role; the image's own are in its sysctl files."""

from __future__ import annotations

from .arguments import Arguments
from .machine import Machine
from .network import HEADER, Interface
from .roles import Role

SETTINGS = '/etc/sysctl.d/zzz-systemvm-role.conf'
# Gone with the next boot, which begins without forwarding again.
FORWARDING = '/run/sysctl.d/zzz-systemvm-forwarding.conf'


def plan_settings(machine: Machine, arguments: Arguments, role: Role) -> dict[str, str]:
    """Reverse path filtering, which CloudStack wants only on routers: inside, and on public sides unless told not to."""
    cards = [name for name in machine.names('/sys/class/net') if name.startswith('eth')]
    public = '1' if role.name == 'router' and not arguments.flag('disable_rp_filter') else '0'
    inside = '1' if role.name == 'router' else '0'
    return {
        # The larger of an interface's value and that of `all` counts.
        'net/ipv4/conf/all/rp_filter': '0',
        'net/ipv4/conf/default/rp_filter': public,
        **{
            f'net/ipv4/conf/{name}/rp_filter': inside if name in ('eth0', 'eth1') else public
            for name in cards
        },
    }


def plan_forwarding(role: Role, interfaces: list[Interface]) -> dict[str, str]:
    settings = {
        'net/ipv4/ip_forward': '1' if role.forwards else '0',
        # After it, because setting it resets these to what suits a host.
        **{f'net/ipv4/conf/{name}/accept_redirects': '0' for name in ('all', 'default')},
    }
    if any(one.has_ipv6 for one in interfaces):
        settings['net/ipv6/conf/all/forwarding'] = '1' if role.forwards else '0'
    return settings


def configure_kernel(machine: Machine, arguments: Arguments, role: Role) -> None:
    apply(machine, SETTINGS, plan_settings(machine, arguments, role))


def configure_forwarding(
    machine: Machine, role: Role, interfaces: list[Interface], is_filtered: bool
) -> None:
    """Lets the machine forward, which nothing else does, and only with its packet filter in force."""
    if role.forwards and not is_filtered:
        machine.log('no forwarding without the packet filter')
        role = role._replace(forwards=False)
    apply(machine, FORWARDING, plan_forwarding(role, interfaces))


def apply(machine: Machine, path: str, settings: dict[str, str]) -> None:
    machine.write(path, HEADER + ''.join(f'{name} = {value}\n' for name, value in settings.items()))
    # Without sysctl: one file each, and no program.
    for name, value in settings.items():
        with open(machine.path(f'/proc/sys/{name}'), 'w', encoding='ascii') as file:
            file.write(f'{value}\n')
