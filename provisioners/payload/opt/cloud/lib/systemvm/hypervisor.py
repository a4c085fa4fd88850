"""Which hypervisor this machine runs on, and the guest agent that belongs to it."""

from __future__ import annotations

from typing import NamedTuple

from .machine import Machine

UNKNOWN = 'unknown'

# By the names of systemd-detect-virt and virt-what. A KVM host of CloudStack's may emulate, which is `qemu`.
FAMILIES = {
    'kvm': 'kvm',
    'qemu': 'kvm',
    'amazon': 'kvm',
    'vmware': 'vmware',
    'microsoft': 'hyperv',
    'hyperv': 'hyperv',
    'oracle': 'virtualbox',
    'virtualbox': 'virtualbox',
}


class Agent(NamedTuple):
    """A guest agent's unit, and the device that it needs. Without the device, starting it would delay the boot."""

    unit: str
    device: str = ''


# Started on that family only. A suite that lacks one of the units does without.
AGENTS = {
    'kvm': (Agent('qemu-guest-agent.service', '/dev/virtio-ports/org.qemu.guest_agent.0'),),
    'vmware': (Agent('open-vm-tools.service'),),
    'hyperv': (
        Agent('hv-kvp-daemon.service', '/dev/vmbus/hv_kvp'),
        Agent('hv-vss-daemon.service', '/dev/vmbus/hv_vss'),
        Agent('hv-fcopy-daemon.service', '/dev/vmbus/hv_fcopy'),
    ),
    'xen-pv': (Agent('xe-daemon.service'),),
    'xen-hvm': (Agent('xe-daemon.service'),),
    'virtualbox': (),
    UNKNOWN: (),
}


def detect(machine: Machine) -> str:
    """One of the keys of AGENTS."""
    # First, because Xen with Viridian extensions poses as Hyper-V to anything that asks the processor.
    if machine.read('/sys/hypervisor/type').strip() == 'xen':
        return 'xen-pv' if machine.read('/sys/hypervisor/guest_type').strip() == 'PV' else 'xen-hvm'
    family = from_words([machine.run('systemd-detect-virt', '--vm').output])
    # virt-what is a script that starts many processes, seconds of work in an emulated guest: asked only in doubt.
    if family not in (UNKNOWN, 'hyperv'):
        return family
    second = from_words(machine.run('virt-what').output.splitlines())
    return family if second == UNKNOWN else second


def from_words(words: list[str]) -> str:
    """Reads what the tools print: a word per line, any of which may be the one that counts."""
    words = [word.strip() for word in words]
    if any(word == 'xen' or word.startswith('xen-') for word in words):
        is_paravirtual = 'xen-hvm' not in words and 'hyperv' not in words and 'xen-domU' in words
        return 'xen-pv' if is_paravirtual else 'xen-hvm'
    return next((FAMILIES[word] for word in words if word in FAMILIES), UNKNOWN)


def start_agent(machine: Machine, family: str) -> None:
    units = [agent.unit for agent in AGENTS[family] if is_wanted(machine, agent)]
    if not units:
        return
    machine.log(f'starting {" ".join(units)}')
    code, output = machine.run('systemctl', 'start', '--no-block', *units)
    if code != 0:
        machine.log(f'{" ".join(units)}: {output}')


def is_wanted(machine: Machine, agent: Agent) -> bool:
    has_device = agent.device == '' or machine.exists(agent.device)
    # If udev has already started it, as it does when the device appears, it has a control group.
    return has_device and has_unit(machine, agent.unit) and not is_running(machine, agent.unit)


def is_running(machine: Machine, unit: str) -> bool:
    return machine.exists(f'/sys/fs/cgroup/system.slice/{unit}')


def has_unit(machine: Machine, unit: str) -> bool:
    return any(
        machine.exists(f'{folder}/{unit}') for folder in ('/etc/systemd/system', '/usr/lib/systemd/system')
    )
