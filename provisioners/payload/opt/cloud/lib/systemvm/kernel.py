"""What a role changes of the kernel's settings; the image's own are in zz-systemvm.conf."""

from __future__ import annotations

from .arguments import Arguments
from .machine import Machine
from .network import HEADER
from .roles import Role

SETTINGS = '/etc/sysctl.d/zzz-systemvm-role.conf'


def plan_settings(machine: Machine, arguments: Arguments, role: Role) -> dict[str, str]:
    reverse_path = '0' if arguments.flag('disable_rp_filter') else '1'
    interfaces = [
        'default',
        *(name for name in machine.names('/sys/class/net') if name.startswith('eth')),
    ]
    return {
        'net/ipv4/ip_forward': '1' if role.forwards else '0',
        # Setting that one, the kernel takes these for what suits a host again: behind it.
        **{f'net/ipv4/conf/{name}/accept_redirects': '0' for name in ('all', 'default')},
        # Of an interface's value and that of `all` the larger counts.
        'net/ipv4/conf/all/rp_filter': '0',
        **{f'net/ipv4/conf/{name}/rp_filter': reverse_path for name in interfaces},
    }


def configure_kernel(machine: Machine, arguments: Arguments, role: Role) -> None:
    settings = plan_settings(machine, arguments, role)
    machine.write(SETTINGS, HEADER + ''.join(f'{name} = {value}\n' for name, value in settings.items()))
    # Without sysctl: a file each, and no process.
    for name, value in settings.items():
        with open(machine.path(f'/proc/sys/{name}'), 'w', encoding='ascii') as file:
            file.write(f'{value}\n')
