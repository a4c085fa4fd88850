"""The three phases, one boot after the other, and what a failure leaves."""

import json
import os

from support import ADDRESSES, MachineTest
from systemvm import boot
from systemvm.arguments import RECORD
from systemvm.disk import Growth, plan_growth
from systemvm.kvm import CMDLINE
from systemvm.machine import Result

# Nobody copies anything in here: test_patch.py is about that.
TEXT = f'type=consoleproxy name=v-1-VM {ADDRESSES} scriptswait=0'


class Boots(MachineTest):
    def boot(self, *phases):
        for phase in phases or boot.PHASES:
            boot.PHASES[phase](self.machine)

    def test_first_boot(self):
        self.machine.events = {1005.0: lambda: self.machine.put(CMDLINE, TEXT)}
        self.boot()
        self.assertTrue(self.machine.exists(boot.DONE))
        self.assertEqual(self.machine.lines[-1], 'Finished setting up systemvm')
        self.assertIn('Executing cloud-early-config', self.machine.lines)
        self.assertEqual(json.loads(self.machine.read(RECORD))['cmd_line']['name'], 'v-1-VM')
        # The agent's own mode lets everybody read it.
        self.assertEqual(self.mode(CMDLINE), 0o600)
        self.assertIn('systemctl start cloud.service', self.machine.runs)

    def test_a_later_boot_goes_on_as_it_was_and_waits_less(self):
        self.machine.put(CMDLINE, TEXT)
        self.boot()
        self.machine.lines.clear()
        began = self.machine.now
        self.boot('preinit')
        self.assertFalse(self.machine.exists(boot.DONE))
        self.assertAlmostEqual(self.machine.now - began, boot.LATER_WAIT_SECONDS, delta=0.5)
        self.boot('early-config', 'postinit')
        self.assertTrue(self.machine.exists(boot.DONE))
        self.assertIn('role: consoleproxy', self.machine.lines)

    def test_on_a_later_boot_something_new_wins(self):
        self.machine.put(CMDLINE, TEXT)
        self.boot()
        self.machine.put(CMDLINE, TEXT.replace('v-1-VM', 'v-2-VM') + ' disable_rp_filter=true')
        self.boot()
        self.assertEqual(self.machine.read('/etc/hostname'), 'v-2-VM\n')

    def test_without_arguments_it_is_the_default_role_after_a_minute(self):
        before = self.machine.read('/etc/network/interfaces')
        began = self.machine.now
        self.boot()
        self.assertAlmostEqual(self.machine.now - began, 60, delta=0.5)
        self.assertIn('no boot arguments within 60 s: the machine gets the default role', self.machine.lines)
        self.assertTrue(self.machine.exists(boot.DONE))
        self.assertEqual(self.machine.read('/etc/network/interfaces'), before)
        # Who looks into it comes by the card that DHCP gave an address to; nobody goes through it.
        rules = self.machine.read('/etc/iptables/rules.v4')
        self.assertIn('-i eth0 -p tcp -m tcp --dport 3922 ', rules)
        self.assertIn(':INPUT DROP', rules)
        self.assertEqual(self.machine.read('/proc/sys/net/ipv4/ip_forward'), '0\n')

    def test_hypervisors_that_have_nothing_to_say_later_are_not_waited_for(self):
        self.machine.answers['systemd-detect-virt'] = Result(1, 'none')
        began = self.machine.now
        self.boot('preinit')
        self.assertEqual(self.machine.now, began)

    def test_arguments_of_another_way_are_kept_where_cloudstack_looks(self):
        self.machine.put('/sys/firmware/qemu_fw_cfg/by_name/opt/cloudstack/cmdline/raw', TEXT)
        self.boot()
        self.assertEqual(self.machine.read(CMDLINE), f'{TEXT}\n')
        self.assertEqual(self.mode(CMDLINE), 0o600)
        self.assertEqual(json.loads(self.machine.read(boot.STATE))['source'], 'firmware configuration')

    def test_a_failed_step_is_told_and_the_others_are_taken(self):
        self.machine.put(CMDLINE, TEXT)
        self.machine.answers['iptables-restore'] = Result(2, 'line 3 failed')
        self.boot('preinit', 'early-config')
        self.assertEqual(self.machine.failures, ['packet filter'])
        self.assertIn(
            'failed: packet filter: iptables-restore --test ended with 2: line 3 failed', self.machine.lines
        )
        self.assertEqual(self.machine.read('/etc/hostname'), 'v-1-VM\n')
        # systemd would not even start it; and no boot_up_done, whoever does.
        self.boot('postinit')
        self.assertFalse(self.machine.exists(boot.DONE))

    def test_a_service_that_does_not_start_is_no_finished_boot(self):
        self.machine.put(CMDLINE, TEXT)
        self.machine.answers['systemctl'] = Result(1, 'Job for cloud.service failed.')
        self.boot()
        self.assertFalse(self.machine.exists(boot.DONE))


class Disk(MachineTest):
    def disk(self, sectors, partitions):
        """A disk as the kernel shows it; the root filesystem is on its last partition."""
        folder = '/sys/devices/pci0/vda'
        self.machine.put(f'{folder}/size', f'{sectors}\n')
        for number, (start, size) in partitions.items():
            self.machine.put(f'{folder}/vda{number}/partition', f'{number}\n')
            self.machine.put(f'{folder}/vda{number}/start', f'{start}\n')
            self.machine.put(f'{folder}/vda{number}/size', f'{size}\n')
        os.makedirs(self.machine.path('/sys/dev/block'))
        os.symlink(f'../../devices/pci0/vda/vda{number}', self.machine.path('/sys/dev/block/254:6'))
        self.machine.put('/proc/self/mountinfo', '24 1 254:6 / / rw - ext4 /dev/vda6 rw\n')

    MBR = {1: (2048, 819200), 2: (821248, 2), 5: (823296, 1048576), 6: (1873920, 8448000)}

    def test_partitions_are_grown_from_the_outside(self):
        self.disk(12582912, self.MBR)
        self.assertEqual(plan_growth(self.machine), Growth('/dev/vda', (2, 6), '/dev/vda6'))
        boot.preinit(self.machine)
        self.assertEqual(
            [run for run in self.machine.runs if run.startswith(('growpart', 'resize2fs'))],
            ['growpart /dev/vda 2', 'growpart /dev/vda 6', 'resize2fs /dev/vda6'],
        )

    def test_a_disk_of_the_same_size_costs_no_process(self):
        self.disk(10321920, self.MBR)
        self.assertIsNone(plan_growth(self.machine))

    def test_a_partition_table_without_an_extended_one(self):
        self.disk(12582912, {1: (2048, 819200), 2: (821248, 9500672)})
        self.assertEqual(plan_growth(self.machine), Growth('/dev/vda', (2,), '/dev/vda2'))

    def test_a_partition_behind_the_root_is_in_the_way(self):
        self.disk(12582912, {6: (1873920, 8448000)} | {7: (10321920, 2048)} | {5: (823296, 1048576)})
        self.assertIsNone(plan_growth(self.machine))

    def test_a_root_that_is_no_partition(self):
        self.machine.put('/proc/self/mountinfo', '24 1 0:24 / / rw - tmpfs tmpfs rw\n')
        self.assertIsNone(plan_growth(self.machine))

    def test_growing_that_fails_does_not_end_the_boot(self):
        self.disk(12582912, self.MBR)
        self.machine.answers['growpart'] = Result(2, 'FAILED: sfdisk')
        self.machine.put(CMDLINE, TEXT)
        boot.preinit(self.machine)
        self.assertEqual(self.machine.failures, ['growing the root filesystem'])
        self.assertTrue(self.machine.exists(RECORD))
