"""The time servers that CloudStack names."""

from __future__ import annotations

from .arguments import Arguments
from .machine import Machine
from .network import HEADER


def configure_clock(machine: Machine, arguments: Arguments) -> None:
    servers = arguments.host_names('ntpserverlist')
    if not servers:
        return
    text = f'{HEADER}[Time]\nNTP={" ".join(servers)}\n'
    if machine.write('/etc/systemd/timesyncd.conf.d/cloudstack.conf', text):
        machine.log(f'time servers {" ".join(servers)}')
        machine.run('systemctl', 'try-restart', '--no-block', 'systemd-timesyncd.service')
