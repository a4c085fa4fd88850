"""The three phases of a boot, each a unit: what came, what follows from it, and what then runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from . import hypervisor
from .arguments import Arguments, load, parse, save
from .handover import await_handover, sources_of
from .kvm import CMDLINE, identify
from .machine import Machine
from .roles import control_interface, role_of

DONE = '/var/cache/cloud/boot_up_done'
# How the last hand-over came, for the next phase, the next boot and whoever looks into it.
STATE = '/var/cache/cloud/handover.json'

# A machine that was never told anything waits long; one that was goes on as it is unless something new comes soon.
FIRST_WAIT_SECONDS = 60
LATER_WAIT_SECONDS = 10
# Their sources have from the start whatever they will ever have.
WITHOUT_WAIT = ('virtualbox', 'unknown')

Result = TypeVar('Result')


def preinit(machine: Machine) -> None:
    """Grows the disk, finds out where the machine runs, starts that agent, and takes the arguments."""
    from .disk import grow_root

    machine.remove(DONE)
    attempt(machine, 'growing the root filesystem', lambda: grow_root(machine))
    family = hypervisor.detect(machine)
    machine.log(f'hypervisor: {family}')
    hypervisor.start_agent(machine, family)
    state = read_state(machine)
    known = load(machine)
    limit = 0 if family in WITHOUT_WAIT else LATER_WAIT_SECONDS if known else FIRST_WAIT_SECONDS
    began = machine.monotonic()
    handover = await_handover(machine, sources_of(machine, family, state.get('taken', '')), limit)
    waited = machine.monotonic() - began
    public_key = ''
    if handover is not None:
        values = parse(handover.text)
        machine.log(f'{len(values)} arguments from {handover.source} after {waited:.1f} s')
        if handover.source == 'guest agent':
            # It may hold a password, and the agent made it for everybody to read.
            os.chmod(machine.path(CMDLINE), 0o600)
        else:
            machine.write(CMDLINE, handover.text + '\n', mode=0o600)
        save(machine, values)
        public_key = handover.public_key
    elif known:
        machine.log(
            f'nothing new was handed over within {limit} s: going on with what an earlier boot was told'
        )
    else:
        machine.log(f'no boot arguments within {limit} s: the machine gets the default role')
    state = {
        'hypervisor': family,
        'source': handover.source if handover else 'earlier boot' if known else 'none',
        'taken': identify(machine),
        'publicKey': public_key,
    }
    machine.write(STATE, json.dumps(state, indent=2) + '\n', mode=0o600)


def early_config(machine: Machine) -> None:
    """Writes everything that follows from the arguments, before any network is up."""
    from .clock import configure_clock
    from .firewall import configure_firewall
    from .identity import configure_key, configure_name, configure_passwords, configure_sshd
    from .kernel import configure_kernel
    from .links import configure_links
    from .network import configure_network
    from .router import configure_dnsmasq
    from .services import configure_services
    from .storage import configure_uploads

    machine.log('Executing cloud-early-config')
    state = read_state(machine)
    arguments = Arguments(load(machine), machine.log)
    if not arguments.values:
        return
    role = role_of(arguments)
    machine.log(f'role: {role.name}')
    control = control_interface(role, state.get('hypervisor', ''), arguments)
    interfaces = attempt(machine, 'network', lambda: configure_network(machine, arguments, role)) or []
    steps: dict[str, Callable[[], object]] = {
        'network cards': lambda: configure_links(machine, arguments),
        'kernel settings': lambda: configure_kernel(machine, arguments, role),
        'packet filter': lambda: configure_firewall(machine, role, interfaces, control),
        'host name': lambda: configure_name(machine, arguments, role, interfaces),
        'sshd': lambda: configure_sshd(machine, interfaces, control),
        'keys': lambda: configure_key(machine, arguments, state.get('publicKey', '')),
        'passwords': lambda: configure_passwords(machine, arguments),
        'dnsmasq': lambda: configure_dnsmasq(machine, arguments, role, interfaces),
        'uploads': lambda: configure_uploads(machine, role),
        'time servers': lambda: configure_clock(machine, arguments),
        'services': lambda: configure_services(machine, role),
    }
    for name, step in steps.items():
        attempt(machine, name, step)


def postinit(machine: Machine) -> None:
    """Starts the role's services, and says that the machine is up."""
    from .services import start_services

    role = role_of(Arguments(load(machine), lambda _: None))
    attempt(machine, 'services', lambda: start_services(machine, role))
    if machine.failures:
        return
    machine.write(DONE, '')
    machine.log('Finished setting up systemvm')


def read_state(machine: Machine) -> dict[str, str]:
    try:
        state = json.loads(machine.read(STATE))
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def attempt(machine: Machine, name: str, step: Callable[[], Result]) -> Result | None:
    """Takes one step. One that fails is told and counted, but the others are still taken: SSH may yet come up."""
    try:
        return step()
    except (OSError, RuntimeError, ValueError) as error:
        machine.log(f'failed: {name}: {error}')
        machine.failures.append(name)
        return None


PHASES = {'preinit': preinit, 'early-config': early_config, 'postinit': postinit}


def main(words: list[str]) -> int:
    """The program. A failed step is a failed unit, and without boot_up_done the management server sees it too."""
    if len(words) != 1 or words[0] not in PHASES:
        print(f'usage: systemvm-boot {"|".join(PHASES)}', file=sys.stderr)
        return 2
    machine = Machine()
    PHASES[words[0]](machine)
    return 1 if machine.failures else 0
