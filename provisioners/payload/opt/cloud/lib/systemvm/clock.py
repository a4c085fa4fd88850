"""The time servers that CloudStack names."""

from __future__ import annotations

from .arguments import Arguments
from .machine import Machine

CONFIG = '/etc/ntpsec/ntp.conf'
# A line of the image's file; the servers go before it.
PLACE = '# server'


def with_servers(text: str, servers: list[str]) -> str:
    lines = [line for line in text.splitlines() if not line.startswith('server ')]
    place = next((index for index, line in enumerate(lines) if line.startswith(PLACE)), len(lines))
    # Several packets at start: in step minutes earlier.
    lines[place:place] = [f'server {server} iburst' for server in servers]
    return ''.join(f'{line}\n' for line in lines)


def configure_clock(machine: Machine, arguments: Arguments) -> None:
    """Uses the servers that were named, or none."""
    servers = arguments.host_names('ntpserverlist')
    if not machine.write(CONFIG, with_servers(machine.read(CONFIG), servers)):
        return
    machine.log(f'time servers {" ".join(servers) or "none"}')
    machine.run('systemctl', '--quiet', '--no-reload', 'enable' if servers else 'disable', 'ntp.service')
    machine.run('systemctl', '--no-block', 'restart' if servers else 'stop', 'ntp.service')
