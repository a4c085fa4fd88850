"""Which hypervisor this machine runs on, and the guest agent that belongs to it."""

from __future__ import annotations

from .machine import Machine

UNKNOWN = 'unknown'

# What systemd-detect-virt and virt-what call them. CloudStack's KVM hosts may well emulate, which is `qemu`.
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

# Started on that family alone; no other boot has them. A suite that lacks one of the units does without.
AGENTS = {
    'kvm': ('qemu-guest-agent.service',),
    'vmware': ('open-vm-tools.service',),
    'hyperv': ('hv-kvp-daemon.service', 'hv-vss-daemon.service', 'hv-fcopy-daemon.service'),
    'xen-pv': ('xe-daemon.service',),
    'xen-hvm': ('xe-daemon.service',),
    'virtualbox': (),
    UNKNOWN: (),
}

# Without its device this unit would keep the boot waiting for it; with it, it starts even later.
AGENT_PORT = '/dev/virtio-ports/org.qemu.guest_agent.0'


def detect(machine: Machine) -> str:
    """One of the keys of AGENTS."""
    # First, because Xen with Viridian extensions introduces itself as Hyper-V to everybody who asks the processor.
    if machine.read('/sys/hypervisor/type').strip() == 'xen':
        return 'xen-pv' if machine.read('/sys/hypervisor/guest_type').strip() == 'PV' else 'xen-hvm'
    family = from_words([machine.run('systemd-detect-virt', '--vm').output])
    # virt-what is a script of many processes, which take seconds in an emulated guest: asked only in doubt.
    if family not in (UNKNOWN, 'hyperv'):
        return family
    second = from_words(machine.run('virt-what').output.splitlines())
    return family if second == UNKNOWN else second


def from_words(words: list[str]) -> str:
    """Reads what the tools print: one word, or a word a line of which any may be the one that counts."""
    words = [word.strip() for word in words]
    if any(word == 'xen' or word.startswith('xen-') for word in words):
        is_paravirtual = 'xen-hvm' not in words and 'hyperv' not in words and 'xen-domU' in words
        return 'xen-pv' if is_paravirtual else 'xen-hvm'
    return next((FAMILIES[word] for word in words if word in FAMILIES), UNKNOWN)


def start_agent(machine: Machine, family: str) -> None:
    # What udev has started already, as it does where the agent's device is, has its control group.
    units = [unit for unit in AGENTS[family] if has_unit(machine, unit) and not is_running(machine, unit)]
    if family == 'kvm' and not machine.exists(AGENT_PORT):
        units = []
    if not units:
        return
    machine.log(f'starting {" ".join(units)}')
    code, output = machine.run('systemctl', 'start', '--no-block', *units)
    if code != 0:
        machine.log(f'{" ".join(units)}: {output}')


def is_running(machine: Machine, unit: str) -> bool:
    return machine.exists(f'/sys/fs/cgroup/system.slice/{unit}')


def has_unit(machine: Machine, unit: str) -> bool:
    return any(machine.exists(f'{folder}/{unit}') for folder in ('/etc/systemd/system', '/usr/lib/systemd/system'))
