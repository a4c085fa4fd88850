"""Every role from its arguments to the files that it leaves, by the phases that write them."""

import json
import re

from support import ADDRESSES, KEY, MachineTest
from systemvm.arguments import parse, save
from systemvm.boot import STATE, early_config, postinit
from systemvm.links import plan_names
from systemvm.roles import MANAGED_UNITS, ROLES

ROUTER = (
    'name=r-4-VM eth0ip=10.1.1.1 eth0mask=255.255.255.0 domain=cs2cloud.internal dhcprange=10.1.1.1 '
    'eth1ip=169.254.0.193 eth1mask=255.255.0.0 eth2ip=203.0.113.15 eth2mask=255.255.255.0 gateway=203.0.113.1 '
    'dns1=198.51.100.1 dns2=198.51.100.2'
)
ROUTER6 = (
    'eth0ip6=fd12::1 eth0ip6prelen=64 eth2ip6=2001:db8::15 eth2ip6prelen=64 ip6gateway=2001:db8::1 '
    'ip6dns1=2001:db8::53 ip6firewall=true'
)
NODE = 'name=k-5-VM eth0ip=10.1.1.20 eth0mask=255.255.255.0 gateway=10.1.1.1 dns1=198.51.100.1'
SYSTEM = f'name=v-1-VM {ADDRESSES} mgmtcidr=172.31.0.0/24 localgw=192.168.1.1 internaldns1=192.168.1.3 dns1=198.51.100.1'

INTERFACES = '/etc/network/interfaces'
LISTEN = '/etc/ssh/sshd_config.d/listen.conf'
RULES = '/etc/iptables/rules.v4'
TIME = '/etc/ntpsec/ntp.conf'


class RolesTest(MachineTest):
    def configure(self, text, family='kvm', public_key=''):
        self.machine.put(STATE, json.dumps({'hypervisor': family, 'publicKey': public_key}))
        save(self.machine, parse(text))
        early_config(self.machine)
        postinit(self.machine)
        self.assertEqual(self.machine.failures, [], self.machine.lines)

    def preset(self):
        lines = self.machine.read('/etc/systemd/system-preset/10-systemvm-role.preset').splitlines()
        words = (line.split() for line in lines if not line.startswith('#'))
        return {unit: verb for verb, unit in words}

    def enabled(self):
        return sorted(unit.partition('.')[0] for unit, verb in self.preset().items() if verb == 'enable')

    def kernel(self, name):
        return self.machine.read(f'/proc/sys/net/ipv4/{name}').strip()


class Table(RolesTest):
    def test_units_of_each_role_and_of_no_other(self):
        for text, units in (
            (f'type=consoleproxy {SYSTEM}', ['cloud']),
            (f'type=secstorage {SYSTEM}', ['apache2', 'cloud', 'nfs-client', 'rpcbind', 'rpcbind']),
            (f'type=router {ROUTER}', ['apache2', 'dnsmasq', 'frr', 'haproxy']),
            (f'type=router {ROUTER} {ROUTER6}', ['apache2', 'dnsmasq', 'frr', 'haproxy', 'radvd']),
            # Which of a pair serves, CloudStack's programs find out, and start the rest.
            (f'type=router {ROUTER} redundant_router=1', ['apache2', 'frr', 'haproxy', 'keepalived']),
            (f'type=vpcrouter {ROUTER}', ['dnsmasq', 'frr', 'haproxy']),
            (f'type=dhcpsrvr {ROUTER}', ['apache2', 'dnsmasq']),
            (f'type=elbvm {ROUTER}', ['haproxy']),
            (f'type=ilbvm {ROUTER}', ['haproxy']),
            (f'type=cksnode {NODE}', ['containerd']),
            (f'type=sharedfsvm {NODE}', []),
            (f'type=novelty {ROUTER} redundant_router=1', []),
        ):
            with self.subTest(text=text):
                self.configure(text)
                self.assertEqual(self.enabled(), units)
                # Every other role's unit is named too, so that a machine which changes its role lets go of them.
                self.assertEqual(sorted(self.preset()), sorted(MANAGED_UNITS))

    def test_sshd_listens_where_cloudstack_comes_from(self):
        for text, family, address in (
            (f'type=consoleproxy {SYSTEM}', 'kvm', '169.254.0.193'),
            (f'type=secstorage {SYSTEM}', 'xen-hvm', '169.254.0.193'),
            (f'type=secstorage {SYSTEM}', 'vmware', '192.168.1.15'),
            (f'type=consoleproxy {SYSTEM}', 'hyperv', '192.168.1.15'),
            (f'type=router {ROUTER}', 'kvm', '169.254.0.193'),
            (f'type=vpcrouter {ROUTER}', 'kvm', '10.1.1.1'),
            (f'type=dhcpsrvr {ROUTER}', 'kvm', '169.254.0.193'),
            (f'type=ilbvm {ROUTER} sshonguest=true', 'kvm', '10.1.1.1'),
        ):
            with self.subTest(text=text, family=family):
                self.configure(text, family)
                lines = self.machine.read(LISTEN).splitlines()
                self.assertEqual(lines[1:], [f'ListenAddress {address}'])

    def test_the_packet_filter_lets_ssh_in_there_alone(self):
        for name, role in ROLES.items():
            if role.is_node:
                continue
            with self.subTest(name=name):
                self.configure(f'type={name} {ROUTER if role.control != "eth0" else SYSTEM}')
                rules = self.machine.read(RULES)
                ssh = [line for line in rules.splitlines() if '--dport 3922 ' in line]
                self.assertEqual(len(ssh), 1)
                self.assertIn(f'-i {role.control} ', ssh[0])
                self.assertIn(':INPUT DROP', rules)
                # What is loaded was tested first, and is what is kept.
                runs = [run for run in self.machine.runs if run.startswith('iptables-restore')]
                self.assertEqual(runs[-2:], ['iptables-restore --test', 'iptables-restore'])
                self.assertEqual(self.machine.texts['iptables-restore'], rules)
        self.configure(f'type=secstorage {SYSTEM}', 'vmware')
        self.assertIn('-i eth1 -p tcp -m tcp --dport 3922 ', self.machine.read(RULES))

    def test_forwarding_is_for_routers(self):
        for name, role in ROLES.items():
            self.configure(f'type={name} {ROUTER}')
            self.assertEqual(self.kernel('ip_forward'), '1' if role.forwards else '0', name)

    def test_reverse_path_filter(self):
        self.configure(f'type=router {ROUTER}')
        for name, value in {'all': '0', 'default': '1', 'eth0': '1', 'eth2': '1'}.items():
            self.assertEqual(self.kernel(f'conf/{name}/rp_filter'), value, name)
        # Its own sides keep it.
        self.configure(f'type=router {ROUTER} disable_rp_filter=true')
        for name, value in {'all': '0', 'default': '0', 'eth0': '1', 'eth1': '1', 'eth2': '0'}.items():
            self.assertEqual(self.kernel(f'conf/{name}/rp_filter'), value, name)
        # CloudStack leaves it off for everybody else.
        self.configure(f'type=secstorage {SYSTEM}')
        for name in ('all', 'default', 'eth0', 'eth2'):
            self.assertEqual(self.kernel(f'conf/{name}/rp_filter'), '0', name)

    def test_services_by_the_names_that_cloudstack_restarts_and_stops_them_by(self):
        for text, on, off in (
            (f'type=consoleproxy {SYSTEM}', 'cloud', 'apache2 dnsmasq haproxy nfs-common portmap'),
            (f'type=secstorage {SYSTEM}', 'apache2 cloud nfs-common portmap', 'dnsmasq haproxy keepalived'),
            (f'type=router {ROUTER}', 'apache2 dnsmasq frr haproxy', 'cloud conntrackd keepalived portmap'),
            (f'type=router {ROUTER} {ROUTER6}', 'apache2 dnsmasq frr haproxy radvd', 'keepalived'),
            (
                f'type=router {ROUTER} redundant_router=1',
                'apache2 frr haproxy keepalived',
                'cloud conntrackd dnsmasq nfs-common',
            ),
            (f'type=vpcrouter {ROUTER}', 'apache2 dnsmasq frr haproxy', 'cloud conntrackd keepalived'),
            (f'type=dhcpsrvr {ROUTER}', 'apache2 dnsmasq', 'cloud haproxy keepalived'),
            (f'type=elbvm {ROUTER}', 'haproxy', 'apache2 cloud dnsmasq'),
            (f'type=ilbvm {ROUTER}', 'haproxy', 'apache2 cloud dnsmasq'),
        ):
            with self.subTest(text=text):
                self.configure(text)
                enabled = self.machine.read('/var/cache/cloud/enabled_svcs').split()
                disabled = self.machine.read('/var/cache/cloud/disabled_svcs').split()
                self.assertEqual(sorted(enabled), on.split())
                self.assertLessEqual(set(off.split()), set(disabled))
                self.assertFalse(set(enabled) & set(disabled))

    def test_a_type_that_is_unknown_is_let_in_to_and_no_more(self):
        self.configure(f'type=novelty {ROUTER}')
        self.assertEqual(self.kernel('ip_forward'), '0')
        rules = self.machine.read(RULES)
        self.assertIn(':INPUT DROP', rules)
        self.assertIn(':FORWARD DROP', rules)
        opened = [line for line in rules.splitlines() if '--dport' in line]
        # DHCP's answers, and control: the link-local network is nobody else's.
        self.assertEqual(len(opened), 2)
        self.assertIn('-i eth1 -p tcp -m tcp --dport 3922 ', opened[0])
        self.assertIn('ListenAddress 169.254.0.193\n', self.machine.read(LISTEN))
        self.assertIn('\nauto lo eth1\n', self.machine.read(INTERFACES))
        self.assertNotIn('eth0', self.machine.read(INTERFACES))

    def test_the_control_interface_of_a_type_that_is_unknown(self):
        for text, control in (
            (f'type=novelty {SYSTEM}', 'eth0'),
            # On VMware it is the management network's.
            (f'type=novelty {SYSTEM} eth0ip=0.0.0.0', 'eth1'),
            ('type=novelty eth0ip=10.1.1.1 eth0mask=255.255.255.0', 'eth0'),
        ):
            with self.subTest(text=text):
                self.configure(text)
                self.assertIn(f'-i {control} -p tcp -m tcp --dport 3922 ', self.machine.read(RULES))


class StorageAndConsole(RolesTest):
    def test_interfaces_and_routes(self):
        self.configure(f'type=secstorage {SYSTEM} mtu=1450 storageip=10.3.0.5 storagenetmask=255.255.255.0')
        text = self.machine.read(INTERFACES)
        self.assertIn('\nauto lo eth0 eth1 eth2 eth3\n', text)
        control, management, public, storage = text.split('\niface eth')[1:]
        # `mtu` is the storage network's, which nothing else may take for its own.
        self.assertIn('  address 10.3.0.5/24\n  mtu 1450\n', storage)
        self.assertEqual(text.count('mtu'), 1)
        self.assertNotIn('gateway', control)
        # The public address is not a private one, so all private networks are behind the local gateway.
        for network in ('10.0.0.0/8', '172.16.0.0/12', '172.31.0.0/24', '192.168.0.0/16'):
            self.assertIn(f'  up ip route replace {network} via 192.168.1.1 dev eth1 || :\n', management)
        self.assertIn('  gateway 203.0.113.1\n', public)

    def test_a_switch_of_vmware_hears_of_each_card(self):
        self.configure(f'type=secstorage {SYSTEM}', 'vmware')
        control, management, public = self.machine.read(INTERFACES).split('\niface eth')[1:]
        self.assertNotIn('ping', control)
        self.assertIn('  up timeout 3 ping -n -c 3 192.168.1.1 >/dev/null 2>&1 &\n', management)
        self.assertIn('  up timeout 3 ping -n -c 3 203.0.113.1 >/dev/null 2>&1 &\n', public)
        self.configure(f'type=secstorage {SYSTEM}')
        self.assertNotIn('ping', self.machine.read(INTERFACES))

    def test_private_routes_are_left_out_behind_a_private_public_network(self):
        text = f'type=consoleproxy {SYSTEM}'.replace('203.0.113', '10.9.9')
        self.configure(text)
        self.assertIn('172.31.0.0/24 via', self.machine.read(INTERFACES))
        self.assertNotIn('10.0.0.0/8', self.machine.read(INTERFACES))

    def test_an_attached_network_gets_no_route(self):
        self.configure(f'type=consoleproxy {SYSTEM} mgmtcidr=192.168.1.0/24')
        self.assertNotIn('192.168.1.0/24 via', self.machine.read(INTERFACES))

    def test_names(self):
        self.configure(f'type=secstorage {SYSTEM}')
        self.assertEqual(self.machine.read('/etc/hostname'), 'v-1-VM\n')
        self.assertIn('203.0.113.15\tv-1-VM\n', self.machine.read('/etc/hosts'))
        servers = [
            line for line in self.machine.read('/etc/resolv.conf').splitlines() if 'nameserver' in line
        ]
        self.assertEqual(servers, ['nameserver 192.168.1.3', 'nameserver 198.51.100.1'])

    def test_addresses_of_a_dhcp_server_but_for_the_one_that_cloudstack_comes_to(self):
        unknown = SYSTEM.replace('eth2ip=203.0.113.15', 'eth2ip=0.0.0.0')
        self.configure(f'type=consoleproxy {unknown} bootproto=dhcp')
        text = self.machine.read(INTERFACES)
        self.assertIn('iface eth0 inet static\n  address 169.254.0.193/16', text)
        self.assertIn('iface eth2 inet dhcp', text)
        self.assertNotIn('iface eth2 inet static', text)

    def test_the_port_of_the_consoles(self):
        self.configure(f'type=consoleproxy {SYSTEM}')
        self.assertEqual(self.machine.read('/root/vncport'), '8080\n')
        self.configure(f'type=consoleproxy {SYSTEM} vncport=8443')
        self.assertEqual(self.machine.read('/root/vncport'), '8443\n')
        rules = self.machine.read(RULES)
        self.assertIn('-i eth2 -p tcp -m tcp --dport 8443 ', rules)
        self.assertNotIn('--dport 8080 ', rules)
        for name in ('eth0', 'eth1'):
            self.assertIn(f'-i {name} -p tcp -m tcp --dport 8001 ', rules)
        self.configure(f'type=consoleproxy {SYSTEM} vncport=22;reboot')
        self.assertEqual(self.machine.read('/root/vncport'), '8080\n')

    def test_a_storage_vm_lets_nobody_in_by_http_before_its_agent_does(self):
        self.configure(f'type=secstorage {SYSTEM}')
        ports = re.findall(r'--dport ([0-9]+)', self.machine.read(RULES))
        self.assertEqual(ports, ['3922'])
        # Its agent's rules go there.
        self.assertIn(':HTTP - ', self.machine.read(RULES))

    def test_uploads_are_the_storage_vms_alone(self):
        self.machine.put('/etc/logrotate.d/cloud')
        self.configure(f'type=secstorage {SYSTEM}')
        # The agent reads the upload's name from a parameter.
        self.assertIn(
            'http://127.0.0.1:8210/upload?uuid=$1 [P,L]', self.machine.read('/etc/apache2/cors.conf')
        )
        for module in ('headers.load', 'proxy.load', 'proxy_http.load'):
            self.assertTrue(self.machine.exists(f'/etc/apache2/mods-enabled/{module}'), module)
        self.assertFalse(self.machine.exists('/etc/logrotate.d/cloud'))
        self.configure(f'type=consoleproxy {SYSTEM}')
        self.assertFalse(self.machine.exists('/etc/apache2/cors.conf'))

    def test_time_servers(self):
        self.configure(f'type=secstorage {SYSTEM} ntpserverlist=10.0.0.1,ntp.example.org,$(reboot)')
        lines = self.machine.read(TIME).splitlines()
        self.assertEqual(lines[-3:], ['server 10.0.0.1 iburst', 'server ntp.example.org iburst', '# server'])
        self.assertIn('systemctl --no-block restart ntp.service', self.machine.runs)
        # Named no more: asked no more.
        self.machine.runs.clear()
        self.configure(f'type=secstorage {SYSTEM}')
        self.assertNotIn('\nserver ', self.machine.read(TIME))
        self.assertIn('systemctl --no-block stop ntp.service', self.machine.runs)

    def test_a_second_boot_changes_nothing(self):
        text = f'type=secstorage {SYSTEM} authorized_key=x'
        self.configure(text)
        self.machine.runs.clear()
        self.machine.put('/etc/shadow', 'root:*:20000::::::\ncloud:$y$hash:20000::::::\n')
        self.configure(text)
        # The packet filter is the kernel's and new at every boot.
        self.assertEqual(self.machine.runs[:2], ['iptables-restore --test', 'iptables-restore'])
        self.assertEqual([run.split(' ')[1] for run in self.machine.runs[2:]], ['start'])


class Routers(RolesTest):
    def test_dnsmasq_serves_the_guests(self):
        self.configure(f'type=router {ROUTER}')
        lines = self.machine.read('/etc/dnsmasq.conf').splitlines()
        for line in (
            'interface=eth0',
            'dhcp-range=10.1.1.1,static,255.255.255.0',
            'dhcp-option=option:router,10.1.1.1',
            'dhcp-option=6,10.1.1.1,198.51.100.1,198.51.100.2',
            'domain=cs2cloud.internal',
        ):
            self.assertIn(line, lines)
        self.assertFalse(any('@' in line for line in lines))
        self.assertEqual(self.machine.read('/etc/dhcpopts.txt'), '')

    def test_leases_that_cloudstack_wrote_stay(self):
        self.machine.put('/etc/dhcphosts.txt', 'kept\n')
        self.configure(f'type=router {ROUTER}')
        self.assertEqual(self.machine.read('/etc/dhcphosts.txt'), 'kept\n')

    def test_a_redundant_pair_has_no_default_route_and_public_side_yet(self):
        self.configure(f'type=router {ROUTER} redundant_router=1')
        text = self.machine.read(INTERFACES)
        self.assertIn('\nauto lo eth0 eth1\n', text)
        self.assertIn('iface eth2 inet static', text)
        self.assertNotIn('gateway', text)

    def test_a_vpc_router_has_its_first_interface_only(self):
        self.configure(f'type=vpcrouter {ROUTER}')
        self.assertIn('\nauto lo eth0\n', self.machine.read(INTERFACES))
        self.assertNotIn('eth1', self.machine.read(INTERFACES))

    def test_a_dhcp_server_names_another_machine_as_router(self):
        self.configure(f'type=dhcpsrvr {ROUTER}'.replace('gateway=203.0.113.1', 'gateway=10.1.1.254'))
        self.assertIn('  gateway 10.1.1.254\n', self.machine.read(INTERFACES))
        self.assertIn('dhcp-option=option:router,10.1.1.254\n', self.machine.read('/etc/dnsmasq.conf'))

    def test_ipv6(self):
        self.configure(f'type=router {ROUTER} {ROUTER6}')
        stanza = self.machine.read(INTERFACES).split('iface eth2 inet6 static\n')[1]
        self.assertIn('  address 2001:db8::15/64\n  gateway 2001:db8::1\n', stanza)
        self.assertIn('pre-up echo 0 >/proc/sys/net/ipv6/conf/eth2/disable_ipv6', stanza)
        self.assertNotIn('conf/eth1/disable_ipv6', self.machine.read(INTERFACES))
        self.assertTrue(self.machine.read('/etc/resolv.conf').endswith('nameserver 2001:db8::53\n'))
        self.assertEqual(self.machine.read('/proc/sys/net/ipv6/conf/all/forwarding'), '1\n')
        rules = self.machine.texts['ip6tables-restore'].splitlines()
        for rule in (
            ':FORWARD DROP [0:0]',
            '-A FORWARD -i eth0 -o eth2 -j ACCEPT',
            '-A INPUT -i eth0 -p udp -m udp --dport 53 -j ACCEPT',
            '-A INPUT -i eth0 -p tcp -m tcp --dport 53 -j ACCEPT',
        ):
            self.assertIn(rule, rules)
        # What comes in is let in by CloudStack, or by nobody.
        self.assertFalse(any(rule.startswith('-A FORWARD -i eth2') for rule in rules))
        names = self.machine.read('/etc/dnsmasq.conf').splitlines()
        self.assertIn('dhcp-range=fd12::1,static', names)
        self.assertIn('dhcp-option=option6:dns-server,[::],[2001:db8::53]', names)
        self.assertIn('fd12::1\tdata-server\n', self.machine.read('/etc/hosts'))
        advertised = self.machine.read('/etc/radvd.conf')
        self.assertIn('interface eth0\n', advertised)
        self.assertIn('prefix fd12::/64 ', advertised)
        self.assertIn('RDNSS 2001:db8::53 ', advertised)
        self.configure(f'type=router {ROUTER}')
        self.assertFalse(self.machine.exists('/etc/radvd.conf'))

    def test_the_network_is_described_before_scripts_of_others_advertise_it(self):
        self.machine.put(STATE, '{"hypervisor": "kvm"}')
        save(self.machine, parse(f'type=router {ROUTER} {ROUTER6}'))
        early_config(self.machine)
        self.assertIn('prefix fd12::/64 ', self.machine.read('/etc/radvd.conf'))

    def test_the_common_ipv6_network_of_a_pair(self):
        self.configure(f'type=router {ROUTER} redundant_router=1 guestgw6=fd12::1 guestcidr6size=64')
        self.assertIn('prefix fd12::/64 ', self.machine.read('/etc/radvd.conf'))
        stanza = self.machine.read(INTERFACES).split('iface eth0 inet static\n')[1].split('\n\n')[0]
        self.assertIn('pre-up echo 0 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6', stanza)
        # Whoever of the two serves advertises it, from when it does.
        self.assertEqual(self.preset()['radvd.service'], 'disable')

    def test_external_names_alone(self):
        self.configure(f'type=router {ROUTER} internaldns1=192.168.1.3 useextdns=true')
        lines = self.machine.read('/etc/dnsmasq.conf').splitlines()
        self.assertIn('port=0', lines)
        self.assertIn('dhcp-option=6,198.51.100.1,198.51.100.2', lines)
        # The router itself goes on to ask CloudStack's own.
        self.assertIn('nameserver 192.168.1.3\n', self.machine.read('/etc/resolv.conf'))

    def test_what_dnsmasq_asks_in_turn(self):
        self.configure(f'type=router {ROUTER} internaldns1=192.168.1.3')
        self.assertEqual(
            self.machine.read('/etc/dnsmasq-resolv.conf').splitlines()[1:],
            ['nameserver 192.168.1.3', 'nameserver 198.51.100.1', 'nameserver 198.51.100.2'],
        )
        self.assertIn(
            'resolv-file=/etc/dnsmasq-resolv.conf', self.machine.read('/etc/dnsmasq.conf').splitlines()
        )

    def test_packets_as_long_as_each_network_takes_them(self):
        self.configure(f'type=router {ROUTER} privateMtu=1450 publicMtu=9000 mtu=1300')
        guest, control, public = self.machine.read(INTERFACES).split('\niface eth')[1:]
        self.assertIn('  mtu 1450\n', guest)
        self.assertNotIn('mtu', control)
        self.assertIn('  mtu 9000\n', public)

    def test_names_and_passwords_for_the_guests_of_the_network_alone(self):
        self.configure(f'type=router {ROUTER}')
        rules = self.machine.read(RULES)
        for port in (53, 80, 443, 8080):
            lines = [line for line in rules.splitlines() if f'--dport {port} ' in line]
            self.assertTrue(lines)
            self.assertTrue(all('-i eth0 -s 10.1.1.0/24 ' in line for line in lines), port)
        self.assertIn('-A INPUT -i eth0 -p udp -m udp --dport 67 -j ACCEPT', rules)
        self.assertIn('systemctl start', ' '.join(self.machine.runs))
        started = next(run for run in self.machine.runs if run.startswith('systemctl start '))
        self.assertIn(' cloud-password-server@10.1.1.1.service', started)

    def test_the_halves_of_a_pair_hear_each_other(self):
        for name in ('router', 'vpcrouter', 'dhcpsrvr'):
            self.configure(f'type={name} {ROUTER}')
            for group in ('224.0.0.18/32', '225.0.0.50/32'):
                self.assertIn(f'-A INPUT -d {group} -j ACCEPT\n', self.machine.read(RULES))

    def test_helpers_are_told_what_to_look_at(self):
        for name in ('router', 'vpcrouter'):
            self.configure(f'type={name} {ROUTER}')
            for helper in ('ftp', 'pptp', 'tftp'):
                self.assertIn(f'-j CT --helper {helper}\n', self.machine.read(RULES))

    def test_public_cards_that_wait_for_cloudstack(self):
        self.configure(f'type=router {ROUTER} extra_pubnics=2')
        text = self.machine.read(INTERFACES)
        self.assertIn('\nauto lo eth0 eth1 eth2\n', text)
        for name in ('eth3', 'eth4'):
            self.assertIn(f'iface {name} inet manual\n', text)

    def test_a_router_without_a_public_network_goes_out_by_its_first(self):
        text = ROUTER.replace(
            'eth2ip=203.0.113.15 eth2mask=255.255.255.0 gateway=203.0.113.1', 'gateway=10.1.1.254'
        )
        self.configure(f'type=router {text}')
        guest = self.machine.read(INTERFACES).split('iface eth0 inet static\n')[1]
        self.assertIn('  gateway 10.1.1.254\n', guest)

    def test_tables_of_a_private_cloud(self):
        self.configure(f'type=vpcrouter {ROUTER} vpccidr=10.1.0.0/16')
        self.assertIn(
            '  up ip rule add from 10.1.0.0/16 table static_route || :\n', self.machine.read(INTERFACES)
        )
        self.assertIn(
            '252\tstatic_route\n251\tstatic_route_back\n', self.machine.read('/etc/iproute2/rt_tables')
        )
        # Its way out is a card that comes later.
        self.assertNotIn('gateway', self.machine.read(INTERFACES))
        self.assertIn('local=/cs2cloud.internal/\n', self.machine.read('/etc/dnsmasq.conf'))

    def test_how_often_logs_are_rotated(self):
        path = '/etc/systemd/system/logrotate.timer.d/role.conf'
        for frequency, line in (
            ('*:00:00', None),
            ('daily', 'OnCalendar=daily'),
            ('*:15:00', 'OnCalendar=*:15:00'),
            ('hourly', None),
            ('x\nExecStart=/x', None),
        ):
            self.configure(f'type=router {ROUTER} logrotatefrequency={frequency}')
            self.assertEqual(line in self.machine.read(path).splitlines(), line is not None, frequency)

    def test_dhcp_instead_of_addresses(self):
        self.configure('type=router name=r-4-VM bootproto=dhcp')
        self.assertIn('iface eth0 inet dhcp', self.machine.read(INTERFACES))


class Cards(RolesTest):
    def test_rules_bind_cards_in_order(self):
        self.configure(f'type=router {ROUTER} nic_macs=02:00:00:00:00:03|02:00:00:00:00:01|02:00:00:00:00:02')
        rules = self.machine.read('/etc/udev/rules.d/70-persistent-net.rules').splitlines()[1:]
        for index, mac in enumerate(('03', '01', '02')):
            self.assertIn(f'ATTR{{address}}=="02:00:00:00:00:{mac}", NAME="eth{index}"', rules[index])
        self.assertIn('eth0 becomes eth1', self.machine.lines)

    def test_a_list_with_something_else_in_it_is_refused(self):
        for macs in (
            '02:00:00:00:00:01|x',
            '02:00:00:00:00:01|02:00:00:00:00:01',
            '02:00:00:00:00:01",RUN+="x',
        ):
            self.configure(f'type=router {ROUTER} nic_macs={macs}')
            self.assertFalse(self.machine.exists('/etc/udev/rules.d/70-persistent-net.rules'), macs)

    def test_names_that_are_planned(self):
        self.assertEqual(plan_names({'eth0': 'a', 'eth1': 'b'}, ['a', 'b']), {})
        self.assertEqual(plan_names({'eth0': 'a', 'eth1': 'b'}, ['b', 'a']), {'eth0': 'eth1', 'eth1': 'eth0'})
        # A card that nobody listed makes room.
        self.assertEqual(plan_names({'eth0': 'a', 'eth1': 'b'}, ['b']), {'eth1': 'eth0', 'eth0': 'eth1'})
        self.assertEqual(plan_names({'eth0': 'a'}, ['missing', 'a']), {'eth0': 'eth1'})


class Hostile(RolesTest):
    VALUES = (
        '$(reboot)',
        '`reboot`',
        '"; reboot',
        "'; reboot",
        'a|b&&c',
        '../../etc/passwd',
        '@guest@',
        'x' * 5000,
    )
    NAMES = (
        *(
            'name',
            'domain',
            'type',
            'dns1',
            'internaldns1',
            'ip6dns1',
            'gateway',
            'ip6gateway',
            'localgw',
            'mgmtcidr',
        ),
        *(
            'eth0ip',
            'eth0mask',
            'eth2ip6',
            'eth2ip6prelen',
            'mtu',
            'nic_macs',
            'ntpserverlist',
            'dnssearchorder',
        ),
        *(
            'dhcprange',
            'guestgw',
            'authorized_key',
            'bootproto',
            'redundant_router',
            'sshonguest',
            'useextdns',
            'vncport',
            'extra_pubnics',
            'guestgw6',
            'eth0ip6',
            'vpccidr',
            'storageip',
            'logrotatefrequency',
            'userdata',
        ),
    )

    def test_no_value_gets_into_a_file_that_a_program_reads(self):
        for value in self.VALUES:
            for name in self.NAMES:
                self.configure(f'type=router {ROUTER} {name}={value}')
                written = [
                    self.machine.read(path)
                    for path in (
                        INTERFACES,
                        LISTEN,
                        RULES,
                        '/etc/hosts',
                        '/etc/hostname',
                        '/etc/resolv.conf',
                        '/etc/dnsmasq.conf',
                        TIME,
                        '/etc/dnsmasq-resolv.conf',
                        '/etc/radvd.conf',
                        '/etc/systemd/system/logrotate.timer.d/role.conf',
                        '/root/vncport',
                        '/etc/udev/rules.d/70-persistent-net.rules',
                        '/root/.ssh/authorized_keys',
                    )
                ]
                for text in written:
                    self.assertFalse(any(word in text for word in value.split()[:1]), f'{name}={value}')

    def test_secrets_are_in_no_log(self):
        self.configure(f'type=secstorage {SYSTEM} vmpassword=hunter2:%$x authorized_key=hunter3')
        self.assertEqual(self.machine.texts['chpasswd'].splitlines()[-1], 'root:hunter2:%$x')
        self.assertNotIn('hunter', '\n'.join(self.machine.lines + self.machine.runs))


class Keys(RolesTest):
    PATH = '/root/.ssh/authorized_keys'

    def test_a_key_in_the_arguments_and_one_beside_them(self):
        import binascii

        encoded = binascii.b2a_base64(f'{KEY}\n'.encode(), newline=False).decode()
        self.configure(f'type=secstorage {SYSTEM} authorized_key={encoded}', public_key=KEY)
        self.assertEqual(self.machine.read(self.PATH), f'{KEY}\n')
        self.assertEqual(self.mode(self.PATH), 0o600)
        self.assertEqual(self.mode('/root/.ssh'), 0o700)

    def test_what_is_no_key_leaves_the_old_ones(self):
        self.machine.put(self.PATH, 'old\n')
        for key in (
            'nonsense',
            f'command="x" {KEY}',
            f'{KEY}\n{KEY}',
            KEY.replace('ed25519', 'rsa'),
            KEY[:40],
        ):
            self.configure(f'type=secstorage {SYSTEM}', public_key=key)
            self.assertEqual(self.machine.read(self.PATH), 'old\n', key)
