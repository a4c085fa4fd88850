"""Kubernetes nodes and shared file systems, which nobody copies anything into."""

from support import KEY, MachineTest
from systemvm import boot
from systemvm.arguments import parse, save
from systemvm.machine import Result
from systemvm.node import POLICY, SOURCES, STAGES, SUCCESS

WORDS = 'name=k-5-VM eth0ip=10.1.1.20 eth0mask=255.255.255.0 gateway=10.1.1.1 dns1=198.51.100.1'
FSTAB = 'UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw,nofail 0 0\n# UUID=3 none swap sw 0 0\n'
SSHD = '/etc/ssh/sshd_config.d/systemvm.conf'
KEYS = '/root/.ssh/authorized_keys'


class Nodes(MachineTest):
    def setUp(self):
        super().setUp()
        self.machine.put('/etc/fstab', FSTAB)
        self.machine.put(SSHD, '# Read first.\nPort 3922\nUseDNS no\n')
        self.machine.put(KEYS, f'{KEY}\n')
        self.machine.put('/etc/cloud/cloud-init.disabled')
        self.machine.put(
            SOURCES, "datasource_list: ['CloudStack']\ndatasource:\n  CloudStack:\n    max_wait: 120\n"
        )
        for name in ('iptables', 'ip6tables'):
            self.machine.put(f'/usr/sbin/{name}-legacy')

    def boot(self, kind, words=WORDS):
        self.machine.put(boot.STATE, '{"hypervisor": "kvm"}')
        save(self.machine, parse(f'type={kind} {words}'))
        boot.early_config(self.machine)
        boot.postinit(self.machine)
        self.assertEqual(self.machine.failures, [], self.machine.lines)

    def test_the_way_in_is_the_users(self):
        for kind in ('cksnode', 'sharedfsvm'):
            with self.subTest(kind=kind):
                self.setUp()
                self.boot(kind)
                self.assertEqual(self.machine.read(SSHD), '# Read first.\nPort 22\nUseDNS no\n')
                self.assertFalse(self.machine.exists('/etc/ssh/sshd_config.d/listen.conf'))
                self.assertEqual(self.machine.read(KEYS), '')
                self.assertEqual('passwd --quiet --lock root' in self.machine.runs, kind == 'cksnode')

    def test_it_never_swaps(self):
        self.boot('cksnode')
        lines = self.machine.read('/etc/fstab').splitlines()
        self.assertEqual(lines[1:], ['#UUID=2 none swap sw,nofail 0 0', '# UUID=3 none swap sw 0 0'])
        self.assertIn('swapoff --all', self.machine.runs)
        self.assertIn('systemctl daemon-reload', self.machine.runs)

    def test_its_own_programs_filter(self):
        self.boot('cksnode')
        self.assertIn('nft -f /etc/iptables/systemvm-open.nft', self.machine.runs)
        self.assertNotIn('iptables-restore', self.machine.runs)
        self.assertFalse(self.machine.exists('/etc/iptables/rules.v4'))
        for name in ('iptables', 'ip6tables'):
            words = f'update-alternatives --quiet --set {name} /usr/sbin/{name}-legacy'
            self.assertIn(words, self.machine.runs)
        # What this release lacks is left as it is.
        self.assertFalse(any('arptables' in run for run in self.machine.runs))

    def test_pods_are_forwarded_for_and_files_are_not(self):
        for kind, forwards in (('cksnode', '1'), ('sharedfsvm', '0')):
            self.boot(kind)
            self.assertEqual(self.machine.read('/proc/sys/net/ipv4/ip_forward'), f'{forwards}\n', kind)

    def test_a_filter_that_does_not_go_away_is_no_node(self):
        self.machine.answers['nft'] = Result(1, 'no')
        save(self.machine, parse(f'type=cksnode {WORDS}'))
        boot.early_config(self.machine)
        self.assertEqual(self.machine.failures, ['packet filter'])
        self.assertEqual(self.machine.read('/proc/sys/net/ipv4/ip_forward'), '0\n')

    def test_cloud_init_makes_of_it_what_it_is_to_be(self):
        self.boot('sharedfsvm')
        self.assertFalse(self.machine.exists('/etc/cloud/cloud-init.disabled'))
        self.assertEqual(self.machine.read(POLICY), 'policy: enabled\n')
        lines = self.machine.read(SOURCES).splitlines()
        self.assertEqual(lines[0], "datasource_list: ['ConfigDrive', 'CloudStack']")
        self.assertIn('    max_wait: 120', lines)
        lease, start = (
            self.machine.runs.index('dhclient -1 eth0'),
            self.machine.runs.index(f'systemctl start --no-block {" ".join(STAGES)}'),
        )
        self.assertLess(lease, start)

    def test_the_dhcp_client_stays_or_the_address_would_go_with_it(self):
        self.boot('cksnode')
        clients = [run for run in self.machine.runs if run.startswith('dhclient')]
        self.assertEqual(clients, ['dhclient -1 eth0'])

    def test_cloud_init_runs_once_in_its_life(self):
        self.machine.put(SUCCESS)
        self.boot('cksnode')
        self.assertFalse(any(run.startswith('systemctl start --no-block') for run in self.machine.runs))
        self.assertIn(f'systemctl --quiet disable --now {" ".join(STAGES)}', self.machine.runs)

    def test_a_node_without_a_dhcp_server_goes_on(self):
        self.machine.answers['dhclient'] = Result(2, 'No DHCPOFFERS received.')
        self.boot('cksnode')
        self.assertIn('no lease on eth0: No DHCPOFFERS received.', self.machine.lines)
        self.assertTrue(self.machine.exists(boot.DONE))

    def test_containerd_is_for_kubernetes(self):
        self.boot('cksnode')
        self.assertIn('systemctl start containerd.service', self.machine.runs)
        self.machine.runs.clear()
        self.boot('sharedfsvm')
        self.assertNotIn('systemctl start containerd.service', self.machine.runs)

    def test_a_second_boot_finds_it_all_done(self):
        self.boot('cksnode')
        self.machine.runs.clear()
        self.boot('cksnode')
        self.assertNotIn('systemctl daemon-reload', self.machine.runs)
        self.assertEqual(self.machine.read('/root/.bashrc').count('/opt/bin'), 1)

    def test_addresses_by_dhcp_where_nobody_says_one(self):
        self.boot('sharedfsvm', 'name=s-5-VM eth0ip=0.0.0.0 eth0mask=0.0.0.0')
        self.assertIn('iface eth0 inet dhcp', self.machine.read('/etc/network/interfaces'))
        # The network's own client is there.
        self.assertFalse(any(run.startswith('dhclient') for run in self.machine.runs))
