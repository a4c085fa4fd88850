"""A role's packet filter. Until it replaces the image's own, nothing is let in."""

from __future__ import annotations

import ipaddress
import re

from .arguments import Arguments
from .console import vnc_port
from .machine import Machine
from .network import Interface
from .roles import Role

FOLDER = '/etc/iptables'

# Loaded by systemvm-filter.service before any network is up.
DENY = f'{FOLDER}/systemvm-deny.nft'
OPEN = f'{FOLDER}/systemvm-open.nft'

# What is in force, for people and for CloudStack's programs.
RULES = f'{FOLDER}/rules.v4'
RULES6 = f'{FOLDER}/rules.v6'


def render_rules(template: str, control: str) -> str:
    """The role's file, with SSH let in through the control interface only."""
    return re.sub(r'-i eth[0-9]+ (?=.*--dport 3922 )', f'-i {control} ', template)


def render_role(
    template: str, arguments: Arguments, role: Role, interfaces: list[Interface], control: str
) -> str:
    rules = render_rules(template, control)
    if role.name == 'consoleproxy':
        rules = rules.replace('--dport 8080 ', f'--dport {vnc_port(arguments)} ')
    guest = next((one.ipv4 for one in interfaces if one.name == 'eth0' and one.ipv4), None)
    return only_from(rules, guest.network) if role.serves_dhcp and guest is not None else rules


def only_from(rules: str, network: ipaddress.IPv4Network) -> str:
    """Names, user data and passwords only for machines of the network. DHCP clients have no address yet."""
    return re.sub(
        r'^(-A INPUT -i eth0 )(?=.*--dport (53|80|443|8080) )', rf'\1-s {network} ', rules, flags=re.M
    )


def configure_firewall(
    machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface], control: str
) -> None:
    if role.is_node:
        # Its user's programs filter packets, and expect to be the only ones.
        machine.must_run('nft', '-f', OPEN)
        for path in (RULES, RULES6):
            machine.remove(path)
        machine.log(f'no packet filter: a {role.name} has its own')
        return
    try:
        load_role(machine, arguments, role, interfaces, control)
    except (OSError, RuntimeError):
        shut(machine, control)
        raise


def load_role(
    machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface], control: str
) -> None:
    rules = render_role(read_template(machine, f'iptables-{role.name}'), arguments, role, interfaces, control)
    load(machine, 'iptables-restore', RULES, rules)
    machine.log(f'packet filter of {role.name}, SSH through {control}')
    # Without IPv6 nothing arrives that way, and the filter that the boot began with stays.
    if any(one.has_ipv6 for one in interfaces):
        name = 'ip6tables-router' if role.forwards else 'ip6tables-systemvm'
        load(machine, 'ip6tables-restore', RULES6, read_template(machine, name))
    else:
        machine.remove(RULES6)


def read_template(machine: Machine, name: str) -> str:
    template = machine.read(f'{FOLDER}/{name}')
    if template == '':
        raise RuntimeError(f'{FOLDER}/{name} is not there')
    return template


def load(machine: Machine, program: str, path: str, rules: str) -> None:
    """Loads all rules or none, and keeps them in a file."""
    machine.must_run(program, '--test', text=rules)
    machine.must_run(program, text=rules)
    machine.write(path, rules, mode=0o640)


def shut(machine: Machine, control: str) -> None:
    """Goes back to the filter that the boot began with, by a program other than the one that failed, but lets SSH in."""
    machine.log(f'nothing but SSH through {control} is let in')
    rule = f'add rule ip filter INPUT iifname "{control}" tcp dport 3922 counter accept\n'
    machine.must_run('nft', '-f', '-', text=f'include "{DENY}"\n{rule}')
