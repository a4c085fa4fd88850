"""Which services run: the role's, and none of another role's."""

from __future__ import annotations

from .hypervisor import has_unit
from .machine import Machine
from .network import HEADER
from .roles import MANAGED_UNITS, Role

# Before 20-systemvm.preset, which leaves all of them off.
PRESET = '/etc/systemd/system-preset/10-systemvm-role.preset'


def render_preset(units: list[str], role: Role) -> str:
    return HEADER + ''.join(f'{"enable" if unit in role.units else "disable"} {unit}\n' for unit in units)


def configure_services(machine: Machine, role: Role) -> None:
    """Enables and disables by one process. `enable` itself would run update-rc.d for each unit."""
    units = [unit for unit in MANAGED_UNITS if has_unit(machine, unit)]
    if machine.write(PRESET, render_preset(units, role)):
        machine.must_run('systemctl', '--quiet', '--no-reload', 'preset', *units)


def start_services(machine: Machine, role: Role) -> None:
    """Starts the role's units and waits for them. What is up already, as on later boots, costs nothing."""
    units = [unit for unit in role.units if has_unit(machine, unit)]
    if not units:
        return
    machine.log(f'starting {" ".join(units)}')
    machine.must_run('systemctl', 'start', *units)
