"""The packet filter of a role, from a file that iptables-restore reads."""

from __future__ import annotations

import re

from .machine import Machine
from .network import Interface
from .roles import ROLES, Role

FOLDER = '/etc/iptables'

# netfilter-persistent loads these at boot, before any network; until CloudStack has programmed the machine they hold.
RULES = f'{FOLDER}/rules.v4'
RULES6 = f'{FOLDER}/rules.v6'


def render_rules(template: str, control: str) -> str:
    """The role's file with SSH let in through the control interface alone."""
    return re.sub(r'-i eth[0-9]+ (?=.*--dport 3922 )', f'-i {control} ', template)


def configure_firewall(machine: Machine, role: Role, interfaces: list[Interface], control: str) -> None:
    if role.name not in ROLES:
        return
    template = machine.read(f'{FOLDER}/iptables-{role.name}')
    if template == '':
        raise RuntimeError(f'{FOLDER}/iptables-{role.name} is not there')
    load(machine, 'iptables-restore', RULES, render_rules(template, control))
    machine.log(f'packet filter of {role.name}, SSH through {control}')
    # Without IPv6 there is nothing to filter, and each process costs.
    if any(one.ipv6 is not None for one in interfaces):
        load(machine, 'ip6tables-restore', RULES6, machine.read(f'{FOLDER}/ip6tables-systemvm'))
    if role.forwards:
        # The tables' names, for CloudStack's routing by interface.
        machine.write('/etc/iproute2/rt_tables', machine.read(f'{FOLDER}/rt_tables_init'))


def load(machine: Machine, program: str, path: str, rules: str) -> None:
    """Loads rules as a whole or not at all, and keeps them for netfilter-persistent."""
    machine.must_run(program, '--test', text=rules)
    machine.must_run(program, text=rules)
    machine.write(path, rules, mode=0o640)
