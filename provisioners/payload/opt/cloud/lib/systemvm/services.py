"""Which services run: the role's, and no other role's."""

from __future__ import annotations

import os

from .arguments import Arguments
from .hypervisor import has_unit
from .machine import Machine
from .network import HEADER
from .roles import MANAGED_UNITS, SERVICES, Role, is_redundant

ENABLED = '/var/cache/cloud/enabled_svcs'
DISABLED = '/var/cache/cloud/disabled_svcs'

# Before 20-systemvm.preset, which leaves all of them off.
PRESET = '/etc/systemd/system-preset/10-systemvm-role.preset'


def render_preset(units: list[str], role: Role) -> str:
    return HEADER + ''.join(f'{"enable" if unit in role.units else "disable"} {unit}\n' for unit in units)


def configure_services(machine: Machine, role: Role) -> None:
    """Enables and disables with one process. `systemctl enable` would run update-rc.d for each unit."""
    units = [unit for unit in MANAGED_UNITS if has_unit(machine, unit)]
    if machine.write(PRESET, render_preset(units, role)):
        machine.must_run('systemctl', '--quiet', '--no-reload', 'preset', *units)
    # These tell CloudStack what to restart, and what not to start.
    machine.write(ENABLED, ' '.join(role.services) + '\n')
    machine.write(DISABLED, ' '.join(name for name in SERVICES if name not in role.services) + '\n')
    if role.has_agent:
        os.makedirs(machine.path('/var/log/cloud'), exist_ok=True)


def start_services(machine: Machine, role: Role, arguments: Arguments) -> None:
    """Starts the role's units and waits for them. Units that are already up, as on later boots, cost nothing."""
    units = [unit for unit in role.units if has_unit(machine, unit)] + password_units(role, arguments)
    if not units:
        return
    machine.log(f'starting {" ".join(units)}')
    machine.must_run('systemctl', 'start', *units)


def password_units(role: Role, arguments: Arguments) -> list[str]:
    """Serves guests their passwords at their gateway's address. For a pair, CloudStack starts it on the active router."""
    guest = arguments.interface('eth0ip', 'eth0mask') if role.serves_dhcp else None
    return [] if guest is None or is_redundant(arguments) else [f'cloud-password-server@{guest.ip}.service']
