"""Apache for the storage VM, which takes uploads of images from browsers."""

from __future__ import annotations

from .machine import Machine
from .roles import Role

# What a2enmod would do, without starting Perl for each.
MODULES = ('headers.load', 'proxy.load', 'proxy.conf', 'proxy_http.load')
TEMPLATE = '/etc/apache2/cors.conf.tmpl'


def configure_uploads(machine: Machine, role: Role) -> None:
    if not role.takes_uploads:
        machine.remove('/etc/apache2/cors.conf')
        return
    for module in MODULES:
        machine.link(f'/etc/apache2/mods-enabled/{module}', f'../mods-available/{module}')
    machine.write('/etc/apache2/cors.conf', machine.read(TEMPLATE))
    # CloudStack's agent rotates its log by itself.
    machine.remove('/etc/logrotate.d/cloud')
