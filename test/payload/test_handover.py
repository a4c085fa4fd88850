"""Every way of the arguments into the guest, with fakes of what the hypervisor puts there."""

import os
import pathlib
import threading

from support import KEY, MachineTest
from systemvm.handover import UDEV_QUEUE, await_handover, sources_of
from systemvm.hypervisor import AGENTS
from systemvm.kvm import CMDLINE, PORTS
from systemvm.machine import Result

TEXT = 'template=domP type=secstorage name=s-1-VM'


class HandoverTest(MachineTest):
    def take(self, family='kvm', limit_seconds=60, taken=''):
        return await_handover(self.machine, sources_of(self.machine, family, taken), limit_seconds)

    def port(self, name, number):
        """A port as udev shows it: a link by name to a device by number. A pipe stands for the device."""
        device = self.machine.path(f'/dev/vport{number}')
        os.makedirs(self.machine.path(PORTS), exist_ok=True)
        os.mkfifo(device)
        os.symlink(f'../vport{number}', self.machine.path(f'{PORTS}/{name}'))
        # Opened for reading too, which never blocks.
        pipe = os.open(device, os.O_RDWR)
        self.addCleanup(os.close, pipe)
        return pipe


class Ports(HandoverTest):
    def test_the_port_is_found_by_name_in_either_order(self):
        for agent, port in (('1p1', '1p2'), ('1p2', '1p1')):
            with self.subTest(port=port):
                self.setUp()
                other = self.port('org.qemu.guest_agent.0', agent)
                pipe = self.port('s-1-VM.vport', port)
                os.write(other, b'cmdline:type=router name=wrong\n')
                os.write(pipe, f'pubkey:{KEY}\ncmdline:{TEXT}\n'.encode())
                found = self.take()
                self.assertEqual(found, ('virtio port', TEXT, KEY))
                # Nothing was taken from the agent's.
                self.assertTrue(os.read(other, 100).endswith(b'name=wrong\n'))

    def test_lines_that_come_in_pieces(self):
        pipe = self.port('s-1-VM.vport', '1p1')
        os.write(pipe, b'pubkey:' + KEY.encode()[:10])
        self.machine.events = {
            1003.0: lambda: os.write(pipe, KEY.encode()[10:] + b'\ncmdline:template=domP type=sec'),
            1005.0: lambda: os.write(pipe, b'storage name=s-1-VM\n'),
        }
        self.assertEqual(self.take(), ('virtio port', TEXT, KEY))
        self.assertAlmostEqual(self.machine.now, 1005, delta=0.2)

    def test_a_last_line_without_end_counts_once_the_host_has_gone(self):
        device = self.machine.path(f'{PORTS}/s-1-VM.vport')
        os.makedirs(os.path.dirname(device))
        os.mkfifo(device)
        writer = threading.Thread(target=lambda: pathlib.Path(device).write_bytes(f'cmdline:{TEXT}'.encode()))
        self.addCleanup(writer.join)
        # The writer waits for a reader, which is there from the first poll on.
        self.machine.events = {1000.05: writer.start, 1000.4: lambda: writer.join()}
        self.assertEqual(self.take().text, TEXT)

    def test_a_port_that_appears_later(self):
        def appear():
            os.write(self.port('s-1-VM.vport', '2p1'), f'cmdline:{TEXT}\n'.encode())

        self.machine.events = {1010.0: appear}
        self.assertEqual(self.take().source, 'virtio port')

    def test_without_anything_the_wait_has_an_end(self):
        self.port('s-1-VM.vport', '1p1')
        self.assertIsNone(self.take())
        self.assertAlmostEqual(self.machine.now, 1060, delta=0.5)


class AgentFile(HandoverTest):
    def test_the_wait_begins_when_udev_has_set_up_the_devices(self):
        self.machine.put(UDEV_QUEUE)
        self.machine.events = {
            1100: lambda: self.machine.remove(UDEV_QUEUE),
            1159: lambda: self.machine.put(CMDLINE, TEXT),
        }
        self.assertEqual(self.take().source, 'guest agent')
        self.assertLess(self.machine.now, 1160)

    def test_devices_that_are_never_set_up_end_the_wait_too(self):
        for limit, most in ((60, 240), (10, 190), (0, 0)):
            self.machine.put(UDEV_QUEUE)
            began = self.machine.now
            self.assertIsNone(self.take(limit_seconds=limit))
            self.assertAlmostEqual(self.machine.now - began, most, delta=0.2)

    def test_the_file_that_the_agent_writes(self):
        self.machine.events = {1007.0: lambda: self.machine.put(CMDLINE, f'{TEXT}\n')}
        self.assertEqual(self.take(), ('guest agent', TEXT, ''))
        self.assertAlmostEqual(self.machine.now, 1007, delta=0.2)

    def test_a_file_that_is_still_being_written_is_not_read(self):
        file = open(self.machine.path(CMDLINE), 'w', encoding='utf-8')
        file.write('template=domP type=sec')
        file.flush()

        def finish():
            file.write('storage name=s-1-VM')
            file.close()

        self.machine.events = {1004.0: finish}
        self.assertEqual(self.take().text, TEXT)
        self.assertAlmostEqual(self.machine.now, 1004, delta=0.2)

    def test_an_empty_file_is_no_handover(self):
        self.machine.put(CMDLINE, '')
        self.assertIsNone(self.take(limit_seconds=1))

    def test_the_file_of_an_earlier_boot_is_not_new_but_the_same_text_again_is(self):
        self.machine.put(CMDLINE, TEXT)
        taken = self.machine.identify(CMDLINE)
        self.assertIsNone(self.take(limit_seconds=1, taken=taken))
        os.utime(self.machine.path(CMDLINE), (2_000_000_000, 2_000_000_000))
        self.assertEqual(self.take(limit_seconds=1, taken=taken).text, TEXT)

    def test_of_agent_and_port_the_first_wins(self):
        pipe = HandoverTest.port(self, 's-1-VM.vport', '1p1')
        self.machine.events = {
            1002.0: lambda: os.write(pipe, f'cmdline:{TEXT}\n'.encode()),
            1003.0: lambda: self.machine.put(CMDLINE, 'type=router name=late'),
        }
        self.assertEqual(self.take().source, 'virtio port')


class OtherHypervisors(HandoverTest):
    def test_qemu_firmware_configuration(self):
        self.machine.put('/sys/firmware/qemu_fw_cfg/by_name/opt/cloudstack/cmdline/raw', TEXT + '\0')
        self.assertEqual(self.take(), ('firmware configuration', TEXT, ''))
        self.assertEqual(self.machine.now, 1000)

    def test_kernel_command_line(self):
        text = 'root=/dev/xvda1 ro console=hvc0 %template=domP%type=secstorage%name=s-1-VM quiet'
        self.machine.put('/proc/cmdline', text)
        found = self.take('xen-pv')
        self.assertEqual((found.source, found.text), ('kernel command line', TEXT))

    def test_a_kernel_command_line_of_the_kernel_alone(self):
        self.machine.put('/proc/cmdline', 'root=/dev/vda1 ro type=x label=50%')
        self.assertIsNone(self.take('unknown', limit_seconds=0))

    def test_xenstore(self):
        self.machine.answers['xenstore-read'] = Result(0, TEXT.replace(' ', '%'))
        self.assertEqual(self.take('xen-hvm').source, 'xenstore')
        self.assertEqual(self.machine.runs, ['xenstore-read vm-data/cloudstack/init'])

    def test_programs_are_asked_once_a_second(self):
        self.machine.answers['xenstore-read'] = Result(1, 'no such key')
        self.assertIsNone(self.take('xen-hvm', limit_seconds=10))
        self.assertIn(len(self.machine.runs), range(8, 13))

    def test_machine_id(self):
        self.machine.answers['vmtoolsd'] = Result(0, TEXT)
        self.assertEqual(self.take('vmware').source, 'machine.id')
        self.machine.answers['vmtoolsd'] = Result(1, 'No machine id = x')
        self.assertIsNone(self.take('vmware', limit_seconds=0))

    def test_key_value_pool_settles_and_is_emptied(self):
        def record(key, value):
            return key.encode().ljust(512, b'\0') + value.encode().ljust(2048, b'\0')

        pool = '/var/lib/hyperv/.kvp_pool_0'
        self.machine.put(pool, record('cloudstack-vm-userdata', 'template=domP type=secstorage'))
        both = record('cloudstack-vm-userdata', 'template=domP type=secstorage') + record(
            'more', 'name=s-1-VM'
        )
        self.machine.events = {1003.0: lambda: self.machine.put(pool, both)}
        self.assertEqual(self.take('hyperv'), ('key-value pool', TEXT, ''))
        self.assertAlmostEqual(self.machine.now, 1008, delta=0.3)
        self.assertEqual(self.machine.read(pool), '')

    def test_dmi_string(self):
        self.machine.put(
            '/sys/firmware/dmi/tables/DMI', b'\x0b\x05innotek\0cmdline:' + TEXT.encode() + b'\0\0'
        )
        self.assertEqual(self.take('virtualbox', limit_seconds=0), ('DMI', TEXT, ''))

    def test_a_mounted_file_wins_everywhere(self):
        self.machine.put('/mnt/cmdline', 'type=router name=chosen')
        self.machine.put('/sys/firmware/qemu_fw_cfg/by_name/opt/cloudstack/cmdline/raw', TEXT)
        self.machine.answers['vmtoolsd'] = Result(0, TEXT)
        for family in AGENTS:
            self.assertEqual(self.take(family).source, '/mnt/cmdline', family)

    def test_a_qemu_that_calls_itself_something_else_is_heard(self):
        self.machine.answers['vmtoolsd'] = Result(1, '')
        for family in AGENTS:
            self.machine.put(CMDLINE, TEXT)
            self.assertEqual(self.take(family, limit_seconds=0).source, 'guest agent', family)

    def test_endless_input_has_a_limit(self):
        pipe = self.port('s-1-VM.vport', '1p1')
        noise = b'x' * 4096
        # A little more than is taken, and less than what the pipe holds in addition.
        for time in range(1001, 1021):
            self.machine.events[float(time)] = lambda: os.write(pipe, noise)
        self.assertIsNone(self.take())
