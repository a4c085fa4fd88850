"""Kubernetes nodes and shared file systems: users' machines, which cloud-init sets up from this image.

CloudStack copies nothing into them and does not log in.
"""

from __future__ import annotations

import re

from .machine import Machine
from .roles import Role

KEYS = '/root/.ssh/authorized_keys'
SHELL = '/root/.bashrc'
PROGRAMS = 'PATH=$PATH:/opt/bin\n'
SSHD = ('/etc/ssh/sshd_config', '/etc/ssh/sshd_config.d/systemvm.conf')
CLOUD_INIT_OFF = '/etc/cloud/cloud-init.disabled'
POLICY = '/etc/cloud/ds-identify.cfg'
SOURCES = '/etc/cloud/cloud.cfg.d/cloudstack.cfg'
# User data leaves it behind once the machine is set up.
SUCCESS = '/home/cloud/success'

STAGES = ('cloud-init.service', 'cloud-config.service', 'cloud-final.service')


def configure_node(machine: Machine, role: Role) -> None:
    """Configures everything that comes before the network."""
    if not role.is_node:
        return
    use_legacy_tables(machine)
    open_ordinary_ssh(machine)
    # The management server does not log in here, so its key must not let anyone in.
    machine.write(KEYS, '', mode=0o600)
    if role.name == 'cksnode':
        machine.must_run('passwd', '--quiet', '--lock', 'root')
    stop_swapping(machine)
    if PROGRAMS not in machine.read(SHELL):
        machine.write(SHELL, machine.read(SHELL) + PROGRAMS)
    machine.remove('/etc/logrotate.d/cloud')
    turn_cloud_init_on(machine)
    machine.log(f'{role.name}: sshd on 22, no swap, cloud-init')


def use_legacy_tables(machine: Machine) -> None:
    """Kubernetes' network plug-ins use the legacy tables, in every release that CloudStack can deploy."""
    for name in ('iptables', 'ip6tables', 'arptables', 'ebtables'):
        program = f'/usr/sbin/{name}-legacy'
        if machine.exists(program):
            machine.must_run('update-alternatives', '--quiet', '--set', name, program)


def open_ordinary_ssh(machine: Machine) -> None:
    for path in SSHD:
        text = machine.read(path)
        if text:
            machine.write(path, re.sub(r'^Port 3922$', 'Port 22', text, flags=re.M))


def stop_swapping(machine: Machine) -> None:
    """The kubelet refuses to run with swap, whether it is already on or comes late."""
    table = machine.read('/etc/fstab')
    without = re.sub(r'^(?!#)(?=\S+\s+\S+\s+swap\s)', '#', table, flags=re.M)
    if machine.write('/etc/fstab', without):
        machine.must_run('systemctl', 'daemon-reload')
    machine.must_run('swapoff', '--all')


def turn_cloud_init_on(machine: Machine) -> None:
    machine.remove(CLOUD_INIT_OFF)
    machine.write(POLICY, 'policy: enabled\n')
    # On one line, as CloudStack's own programs expect it.
    sources = "datasource_list: ['ConfigDrive', 'CloudStack']"
    text = re.sub(r'^datasource_list: .*$', sources, machine.read(SOURCES), flags=re.M)
    machine.write(SOURCES, text if sources in text else f'{sources}\n{text}')


def start_node(machine: Machine, role: Role) -> None:
    """Starts what needs a network: the DHCP lease that tells cloud-init where its data is, and cloud-init, once."""
    if not role.is_node:
        return
    # Also if the address is already known: the lease's file says who serves this network. The client keeps running, because
    # it would take the interface's addresses with it.
    if not re.search(r'^iface eth0 inet dhcp$', machine.read('/etc/network/interfaces'), flags=re.M):
        code, output = machine.run('dhclient', '-1', 'eth0', timeout_seconds=90)
        if code != 0:
            machine.log(f'no lease on eth0: {output.splitlines()[-1] if output else code}')
    if machine.exists(SUCCESS):
        machine.log(f'{SUCCESS} is there: cloud-init has done its work')
        machine.run('systemctl', '--quiet', 'disable', '--now', *STAGES)
        return
    machine.must_run('systemctl', 'start', '--no-block', *STAGES)
