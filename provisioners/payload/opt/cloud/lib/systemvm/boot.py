"""The phases of a boot, one unit each: take the arguments, configure, let CloudStack's scripts take over, start services."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from . import hypervisor
from .arguments import Arguments, load, parse, save
from .handover import await_handover, sources_of
from .kvm import CMDLINE
from .machine import Machine
from .roles import control_interface, role_of

# Says that this package has configured the machine at this boot, not CloudStack's scripts.
CONFIGURED = '/run/systemvm/configured'
DONE = '/var/cache/cloud/boot_up_done'
# How the last hand-over came: for the next phase, the next boot, and anyone who looks into it.
STATE = '/var/cache/cloud/handover.json'

# A machine that was never told anything waits long. One that was goes on unchanged unless something new comes soon.
FIRST_WAIT_SECONDS = 60
LATER_WAIT_SECONDS = 10
EARLIER = 'earlier boot'
# Whatever their sources will ever have is there from the start.
WITHOUT_WAIT = ('virtualbox', 'unknown')

# Whose scripts run, in the record: these, or a digest of CloudStack's.
OWN = 'own'

Result = TypeVar('Result')


def preinit(machine: Machine) -> None:
    """Grows the disk, detects the hypervisor, starts its agent, and takes the arguments."""
    from .disk import grow_root
    from .patch import AGENT, SCRIPTS

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
            # It may hold a password, and the agent made it readable to everyone.
            os.chmod(machine.path(CMDLINE), 0o600)
        else:
            machine.write(CMDLINE, handover.text + '\n', mode=0o600)
        save(machine, values)
        public_key = handover.public_key
        # The host copies them at every start: what is there was meant for a boot that did not finish.
        machine.remove(SCRIPTS)
        machine.remove(AGENT)
    elif known:
        machine.log(
            f'nothing new was handed over within {limit} s: going on with what an earlier boot was told'
        )
    else:
        machine.log(f'no boot arguments within {limit} s: the machine gets the default role')
    state = {
        'hypervisor': family,
        'source': handover.source if handover else EARLIER if known else 'none',
        'taken': machine.identify(CMDLINE),
        'publicKey': public_key,
    }
    machine.write(STATE, json.dumps(state, indent=2) + '\n', mode=0o600)


def early_config(machine: Machine) -> None:
    """Writes everything that must be there before a network is up, including the way in over SSH."""
    from .advertise import configure_advertising
    from .clock import configure_clock
    from .firewall import configure_firewall
    from .identity import configure_key, configure_name, configure_passwords, configure_sshd
    from .kernel import configure_forwarding, configure_kernel
    from .links import configure_links
    from .network import configure_network
    from .node import configure_node
    from .router import configure_tables

    machine.log('Executing cloud-early-config')
    machine.write(CONFIGURED, '')
    state = read_state(machine)
    arguments = Arguments(load(machine), machine.log)
    role = role_of(arguments)
    machine.log(f'role: {role.name}')
    family = state.get('hypervisor', '')
    control = control_interface(role, family, arguments)
    interfaces = (
        attempt(machine, 'network', lambda: configure_network(machine, arguments, role, family)) or []
    )
    steps: dict[str, Callable[[], object]] = {
        'network cards': lambda: configure_links(machine, arguments),
        'kernel settings': lambda: configure_kernel(machine, arguments, role),
        'packet filter': lambda: configure_firewall(machine, arguments, role, interfaces, control),
        'forwarding': lambda: configure_forwarding(
            machine, role, interfaces, is_filtered='packet filter' not in machine.failures
        ),
        'routing tables': lambda: configure_tables(machine, role),
        # CloudStack's scripts start radvd and expect it to be configured already.
        'IPv6 advertisements': lambda: configure_advertising(machine, arguments, role),
        'host name': lambda: configure_name(machine, arguments, role, interfaces),
        'sshd': lambda: configure_sshd(machine, role, interfaces, control),
        'keys': lambda: configure_key(machine, arguments, state.get('publicKey', '')),
        'passwords': lambda: configure_passwords(machine, arguments),
        'time servers': lambda: configure_clock(machine, arguments),
        'node': lambda: configure_node(machine, role),
    }
    for name, step in steps.items():
        attempt(machine, name, step)


def patch(machine: Machine) -> None:
    """Waits for CloudStack's scripts if its host has just handed over the arguments, and lets them take over."""
    from .network import address_of, plan_interfaces
    from .patch import WITH_AGENT, Awaited, await_archive, install, wait_seconds

    arguments = Arguments(load(machine), lambda _: None)
    state = read_state(machine)
    source = state.get('source', 'none')
    # early_config has complained about all others; this one is read only here.
    told = arguments._replace(complain=machine.log)
    limit = wait_seconds(told) if source not in ('none', EARLIER) else 0
    if limit == 0:
        machine.write(STATE, json.dumps({**state, 'scripts': OWN}, indent=2) + '\n', mode=0o600)
        return
    machine.log(f'waiting up to {limit} s for the scripts of CloudStack')
    needs_agent = arguments.text('type') in WITH_AGENT
    awaited = attempt(
        machine, 'waiting for scripts', lambda: await_archive(machine, limit, needs_agent)
    ) or Awaited(refusal='nothing could be read')
    archive = awaited.archive
    if archive is not None:
        role = role_of(arguments)
        control = control_interface(role, state.get('hypervisor', ''), arguments)
        address = address_of(plan_interfaces(arguments, role), control)
        attempt(
            machine,
            'scripts of CloudStack',
            lambda: install(machine, archive, arguments, control, str(address or '')),
        )
    elif awaited.refusal:
        machine.log(f'failed: scripts of CloudStack: {awaited.refusal}')
        machine.failures.append('scripts of CloudStack')
    else:
        machine.log(f'no scripts of CloudStack within {limit} s: the machine goes on with those of its image')
    state['scripts'] = archive.sha512 if archive is not None and not machine.failures else OWN
    machine.write(STATE, json.dumps(state, indent=2) + '\n', mode=0o600)


def postinit(machine: Machine) -> None:
    """Configures and starts the role's services, then marks the machine as up."""
    from .console import configure_console
    from .network import plan_interfaces
    from .node import start_node
    from .rotation import configure_rotation
    from .router import configure_dnsmasq
    from .services import configure_services, start_services
    from .storage import configure_uploads
    from .userdata import run_user_data

    arguments = Arguments(load(machine), lambda _: None)
    role = role_of(arguments)
    if arguments.values:
        interfaces = plan_interfaces(arguments, role)
        attempt(machine, 'dnsmasq', lambda: configure_dnsmasq(machine, arguments, role, interfaces))
        attempt(machine, 'uploads', lambda: configure_uploads(machine, role))
        attempt(machine, 'console', lambda: configure_console(machine, arguments, role))
        attempt(machine, 'rotation of logs', lambda: configure_rotation(machine, arguments))
        attempt(machine, 'services', lambda: configure_services(machine, role))
    attempt(machine, 'starting services', lambda: start_services(machine, role, arguments))
    attempt(machine, 'node', lambda: start_node(machine, role))
    attempt(machine, 'user data', lambda: run_user_data(machine, arguments))
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
    """Takes one step. A failure is logged and counted, and the other steps are still taken: SSH may yet come up."""
    try:
        return step()
    except (OSError, RuntimeError, ValueError) as error:
        machine.log(f'failed: {name}: {error}')
        machine.failures.append(name)
        return None


PHASES = {'preinit': preinit, 'early-config': early_config, 'patch': patch, 'postinit': postinit}


def main(words: list[str]) -> int:
    """The program. A failed step fails the unit; and without boot_up_done the management server sees it too."""
    if len(words) != 1 or words[0] not in PHASES:
        print(f'usage: systemvm-boot {"|".join(PHASES)}', file=sys.stderr)
        return 2
    machine = Machine()
    PHASES[words[0]](machine)
    return 1 if machine.failures else 0
