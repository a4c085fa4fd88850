"""A machine below a temporary root, with a clock of its own and programs that are only written down."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

SYSTEM_FILES = pathlib.Path(__file__).parents[2] / 'provisioners/system'
PAYLOAD = pathlib.Path(__file__).parents[2] / 'provisioners/payload'
sys.dont_write_bytecode = True
sys.path.insert(0, str(PAYLOAD / 'opt/cloud/lib'))

from systemvm.arguments import Arguments  # noqa: E402
from systemvm.machine import Machine, Result  # noqa: E402

KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXrYzXRJzBmoPWx0lpgpFTpgwDQAR4oS7MRZVhJ9SBk management'

ADDRESSES = (
    'eth0ip=169.254.0.193 eth0mask=255.255.0.0 eth1ip=192.168.1.15 eth1mask=255.255.255.0 '
    'eth2ip=203.0.113.15 eth2mask=255.255.255.0 gateway=203.0.113.1'
)

# Of each of these any role's unit may or may not be there; the tests' machine has them all.
UNITS = (
    'apache2.service',
    'conntrackd.service',
    'containerd.service',
    'dnsmasq.service',
    'frr.service',
    'haproxy.service',
    'hv-kvp-daemon.service',
    'hv-vss-daemon.service',
    'keepalived.service',
    'nfs-client.target',
    'open-vm-tools.service',
    'qemu-guest-agent.service',
    'radvd.service',
    'rpcbind.service',
    'rpcbind.socket',
)


class FakeMachine(Machine):
    def __init__(self, root):
        super().__init__(root)
        self.now = 1000.0
        self.lines = []
        self.runs = []
        self.texts = {}
        self.answers = {}
        # What happens when the clock gets there, by time.
        self.events = {}

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for time in sorted(time for time in self.events if time <= self.now):
            self.events.pop(time)()

    def log(self, line):
        self.lines.append(line)

    def run(self, *words, text='', timeout_seconds=120):
        self.runs.append(' '.join(words))
        self.texts[words[0]] = text
        return self.answers.get(words[0], Result(0, ''))

    def put(self, path, content=''):
        """Lays a file that somebody else made."""
        real = self.path(path)
        os.makedirs(os.path.dirname(real), exist_ok=True)
        with open(real, 'wb') as file:
            file.write(content if isinstance(content, bytes) else content.encode())


class MachineTest(unittest.TestCase):
    """Each test has a machine as the image leaves it, as far as the programs look."""

    def setUp(self):
        root = tempfile.mkdtemp(prefix='systemvm-payload-')
        self.addCleanup(shutil.rmtree, root)
        shutil.copytree(PAYLOAD / 'etc', f'{root}/etc')
        self.machine = machine = FakeMachine(root)
        machine.put('/etc/ntpsec/ntp.conf', (SYSTEM_FILES / 'etc/ntpsec/ntp.conf').read_bytes())
        for unit in UNITS:
            machine.put(f'/usr/lib/systemd/system/{unit}')
        for name in ('all', 'default', 'eth0', 'eth1', 'eth2'):
            machine.put(f'/proc/sys/net/ipv4/conf/{name}/rp_filter', '1\n')
            if name.startswith('eth'):
                machine.put(f'/sys/class/net/{name}/address', f'02:00:00:00:00:0{int(name[3]) + 1}\n')
                machine.put(f'/sys/class/net/{name}/device/vendor')
        machine.put('/proc/sys/net/ipv4/ip_forward', '0\n')
        machine.put('/proc/sys/net/ipv6/conf/all/forwarding', '0\n')
        machine.put('/etc/shadow', 'root:*:20000::::::\ncloud:!:20000::::::\n')
        os.makedirs(machine.path('/var/log'))
        os.makedirs(machine.path('/var/cache/cloud'))
        machine.answers['systemd-detect-virt'] = Result(0, 'kvm')
        machine.answers['virt-what'] = Result(0, '')

    def arguments(self, **values):
        return Arguments({name: str(value) for name, value in values.items()}, self.machine.log)

    def mode(self, path):
        return os.stat(self.machine.path(path)).st_mode & 0o777
