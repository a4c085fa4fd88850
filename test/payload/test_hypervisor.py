"""Which hypervisor, from what each of them is known to show, and which agent follows."""

from support import MachineTest
from systemvm.handover import SOURCES
from systemvm.hypervisor import AGENTS, detect, from_words, start_agent
from systemvm.machine import Result


class Detect(MachineTest):
    def test_by_one_program(self):
        for word, family in (
            ('kvm', 'kvm'),
            ('qemu', 'kvm'),
            ('vmware', 'vmware'),
            ('oracle', 'virtualbox'),
            ('microsoft', 'hyperv'),
            ('xen', 'xen-hvm'),
        ):
            self.machine.answers['systemd-detect-virt'] = Result(0, word)
            self.assertEqual(detect(self.machine), family)

    def test_virt_what_is_asked_in_doubt_only(self):
        detect(self.machine)
        self.assertEqual(self.machine.runs, ['systemd-detect-virt --vm'])
        self.machine.answers['systemd-detect-virt'] = Result(1, 'none')
        self.machine.answers['virt-what'] = Result(0, 'kvm\n')
        self.assertEqual(detect(self.machine), 'kvm')

    def test_xen_says_so_itself(self):
        self.machine.answers['systemd-detect-virt'] = Result(0, 'microsoft')
        self.machine.put('/sys/hypervisor/type', 'xen\n')
        for kind, family in (('PV', 'xen-pv'), ('HVM', 'xen-hvm'), ('PVH', 'xen-hvm')):
            self.machine.put('/sys/hypervisor/guest_type', f'{kind}\n')
            self.assertEqual(detect(self.machine), family)

    def test_xen_with_viridian_is_not_hyperv(self):
        self.machine.answers['systemd-detect-virt'] = Result(0, 'microsoft')
        self.machine.answers['virt-what'] = Result(0, 'hyperv\nxen\nxen-domU')
        self.assertEqual(detect(self.machine), 'xen-hvm')

    def test_words_of_virt_what(self):
        self.assertEqual(from_words(['xen', 'xen-domU']), 'xen-pv')
        self.assertEqual(from_words(['xen', 'xen-hvm']), 'xen-hvm')
        self.assertEqual(from_words(['hyperv', 'qemu']), 'hyperv')
        self.assertEqual(from_words(['something-new']), 'unknown')
        self.assertEqual(from_words([]), 'unknown')

    def test_neither_program_is_there(self):
        self.machine.answers = {}
        self.assertEqual(detect(self.machine), 'unknown')

    def test_sources_are_of_families_that_there_are(self):
        self.assertLess(set(SOURCES), set(AGENTS))


class StartAgent(MachineTest):
    def started(self, family):
        self.machine.runs.clear()
        start_agent(self.machine, family)
        return self.machine.runs

    def test_exactly_that_family(self):
        self.assertEqual(self.started('vmware'), ['systemctl start --no-block open-vm-tools.service'])
        for name in ('kvp', 'vss'):
            self.machine.put(f'/dev/vmbus/hv_{name}')
        self.assertEqual(
            self.started('hyperv'), ['systemctl start --no-block hv-kvp-daemon.service hv-vss-daemon.service']
        )
        # The image has no unit of that name, unless somebody adds it.
        self.assertEqual(self.started('xen-hvm'), [])
        self.machine.put('/etc/systemd/system/xe-daemon.service')
        self.assertEqual(self.started('xen-hvm'), ['systemctl start --no-block xe-daemon.service'])
        self.assertEqual(self.started('unknown'), [])

    def test_an_agent_is_started_with_its_device_and_once(self):
        self.assertEqual(self.started('hyperv'), [])
        self.assertEqual(self.started('kvm'), [])
        self.machine.put('/dev/virtio-ports/org.qemu.guest_agent.0')
        self.assertEqual(self.started('kvm'), ['systemctl start --no-block qemu-guest-agent.service'])
        self.machine.put('/sys/fs/cgroup/system.slice/qemu-guest-agent.service/cgroup.procs')
        self.assertEqual(self.started('kvm'), [])
