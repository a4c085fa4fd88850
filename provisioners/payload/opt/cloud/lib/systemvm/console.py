"""The console proxy's port, on which its packet filter and its program must agree."""

from __future__ import annotations

from .arguments import Arguments
from .machine import Machine
from .roles import Role

PORT_FILE = '/root/vncport'
PLAIN_PORT = 8080


def vnc_port(arguments: Arguments) -> int:
    """The port that browsers connect to; CloudStack says 8443 if they use TLS."""
    return arguments.number('vncport', 1, 65535) or PLAIN_PORT


def configure_console(machine: Machine, arguments: Arguments, role: Role) -> None:
    if role.name == 'consoleproxy':
        machine.write(PORT_FILE, f'{vnc_port(arguments)}\n')
