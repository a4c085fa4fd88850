"""The packet filter when something fails: what was shut stays shut, but for who comes to look why."""

from unittest import mock

from support import MachineTest
from systemvm import boot
from systemvm.arguments import parse, save
from systemvm.firewall import DENY
from systemvm.machine import Result

ROUTER = (
    'type=router name=r-4-VM eth0ip=10.1.1.1 eth0mask=255.255.255.0 eth1ip=169.254.0.193 eth1mask=255.255.0.0 '
    'eth2ip=203.0.113.15 eth2mask=255.255.255.0 gateway=203.0.113.1'
)
IPV6 = 'eth0ip6=fd12::1 eth0ip6prelen=64 eth2ip6=2001:db8::15 eth2ip6prelen=64'

# Every step before the network, by the function that takes it.
STEPS = {
    'network': 'network.configure_network',
    'network cards': 'links.configure_links',
    'kernel settings': 'kernel.configure_kernel',
    'packet filter': 'firewall.load_role',
    'forwarding': 'kernel.configure_forwarding',
    'routing tables': 'router.configure_tables',
    'IPv6 advertisements': 'advertise.configure_advertising',
    'host name': 'identity.configure_name',
    'sshd': 'identity.configure_sshd',
    'keys': 'identity.configure_key',
    'passwords': 'identity.configure_passwords',
    'time servers': 'clock.configure_clock',
    'node': 'node.configure_node',
}
LATER_STEPS = {
    'dnsmasq': 'router.configure_dnsmasq',
    'uploads': 'storage.configure_uploads',
    'console': 'console.configure_console',
    'rotation of logs': 'rotation.configure_rotation',
    'services': 'services.configure_services',
    'starting services': 'services.start_services',
}


class FilterTest(MachineTest):
    def configure(self, text=ROUTER):
        self.machine.put(boot.STATE, '{"hypervisor": "kvm"}')
        save(self.machine, parse(text))
        boot.early_config(self.machine)

    def forwarding(self, family='ipv4/ip_forward'):
        return self.machine.read(f'/proc/sys/net/{family}').strip()

    def loaded(self):
        return [run for run in self.machine.runs if 'restore' in run or run.startswith('nft')]


class EachStepInTurn(FilterTest):
    def test_no_step_that_fails_opens_anything_or_says_that_the_machine_is_up(self):
        for name, function in (STEPS | LATER_STEPS).items():
            with self.subTest(name=name):
                self.setUp()
                with mock.patch(f'systemvm.{function}', side_effect=OSError('broken')):
                    self.configure()
                    boot.postinit(self.machine)
                self.assertEqual(self.machine.failures, [name])
                self.assertIn(f'failed: {name}: broken', self.machine.lines)
                self.assertFalse(self.machine.exists(boot.DONE))
                is_filtered = name != 'packet filter'
                self.assertEqual('iptables-restore' in self.machine.runs, is_filtered)
                forwards = is_filtered and name != 'forwarding'
                self.assertEqual(self.forwarding(), '1' if forwards else '0')

    def test_these_are_all_of_them(self):
        taken = []
        with mock.patch('systemvm.boot.attempt', side_effect=lambda machine, name, step: taken.append(name)):
            self.configure()
            boot.postinit(self.machine)
        # What a router has no part in never fails it.
        self.assertEqual(set(taken) - {'user data'}, {*STEPS, *LATER_STEPS})


class Loading(FilterTest):
    def test_nothing_is_loaded_that_was_not_tried(self):
        self.machine.answers['iptables-restore'] = Result(2, 'line 3 failed')
        self.configure()
        self.assertEqual(self.loaded(), ['iptables-restore --test', 'nft -f -'])
        self.assertFalse(self.machine.exists('/etc/iptables/rules.v4'))

    def test_control_gets_in_where_a_roles_rules_do_not_load(self):
        self.machine.answers['iptables-restore'] = Result(2, 'line 3 failed')
        self.configure()
        self.assertEqual(
            self.machine.texts['nft'].splitlines(),
            [f'include "{DENY}"', 'add rule ip filter INPUT iifname "eth1" tcp dport 3922 counter accept'],
        )
        self.assertIn(
            'ListenAddress 169.254.0.193\n', self.machine.read('/etc/ssh/sshd_config.d/listen.conf')
        )
        self.assertEqual(self.forwarding(), '0')
        self.assertIn('no forwarding without the packet filter', self.machine.lines)

    def test_half_a_filter_is_none(self):
        self.machine.answers['ip6tables-restore'] = Result(2, 'line 3 failed')
        self.configure(f'{ROUTER} {IPV6}')
        self.assertEqual(self.machine.failures, ['packet filter'])
        self.assertEqual(self.loaded()[-1], 'nft -f -')
        self.assertEqual(self.forwarding(), '0')
        self.assertEqual(self.forwarding('ipv6/conf/all/forwarding'), '0')

    def test_without_even_the_way_back_the_step_has_failed_all_the_same(self):
        self.machine.answers['iptables-restore'] = Result(2, 'line 3 failed')
        self.machine.answers['nft'] = Result(1, 'no')
        self.configure()
        self.assertEqual(self.machine.failures, ['packet filter'])
        self.assertEqual(self.forwarding(), '0')

    def test_a_role_without_its_file(self):
        import os

        os.unlink(self.machine.path('/etc/iptables/iptables-router'))
        self.configure()
        self.assertIn('failed: packet filter: /etc/iptables/iptables-router is not there', self.machine.lines)
        self.assertEqual(self.loaded(), ['nft -f -'])

    def test_the_next_boot_begins_without_forwarding(self):
        self.configure()
        self.assertEqual(self.forwarding(), '1')
        for folder in ('/etc/sysctl.d', '/usr/lib/sysctl.d'):
            for name in self.machine.names(folder):
                self.assertNotIn('forward', self.machine.read(f'{folder}/{name}'))
