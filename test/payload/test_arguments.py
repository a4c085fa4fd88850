"""Boot arguments: what is read, what is refused, and that nothing of it is ever more than text."""

import ipaddress
import json

from support import MachineTest
from systemvm import arguments
from systemvm.arguments import load, parse, save


class Parse(MachineTest):
    def test_words_apart_by_spaces_lines_or_percent_signs(self):
        expected = {'type': 'router', 'name': 'r-4-VM'}
        for text in ('type=router name=r-4-VM', ' type=router\n\tname=r-4-VM\n', 'type=router%name=r-4-VM'):
            self.assertEqual(parse(text), expected, text)

    def test_a_percent_sign_in_a_value_stays_where_words_are_apart_by_spaces(self):
        self.assertEqual(parse('type=router vmpassword=50%off')['vmpassword'], '50%off')

    def test_unknown_names_are_kept_and_the_last_of_two_counts(self):
        self.assertEqual(parse('novelty=1 novelty=2 empty= a=b=c'), {'novelty': '2', 'empty': '', 'a': 'b=c'})

    def test_what_is_no_argument_is_left_out(self):
        self.assertEqual(parse('ro quiet =x $(reboot)=1 a/b=c'), {})

    def test_values_are_kept_as_they_are(self):
        hostile = '$(reboot)`id`"\'\\;|&<>'
        save(self.machine, parse(f'evil={hostile} name=v-1-VM'))
        record = json.loads(self.machine.read(arguments.RECORD))
        self.assertEqual(record, {'type': 'cmdline', 'cmd_line': {'evil': hostile, 'name': 'v-1-VM'}})
        self.assertEqual(self.mode(arguments.RECORD), 0o600)
        self.assertEqual(load(self.machine)['evil'], hostile)

    def test_a_damaged_record_is_none(self):
        for text in ('', '{', '[]', '{"cmd_line": 3}', '{"cmd_line": null}'):
            self.machine.put(arguments.RECORD, text)
            self.assertEqual(load(self.machine), {}, text)


class Read(MachineTest):
    def test_addresses(self):
        given = self.arguments(a='10.0.0.1', b='fd00::1', none='0.0.0.0')
        self.assertEqual(given.address('a'), ipaddress.ip_address('10.0.0.1'))
        self.assertEqual(given.address('b'), ipaddress.ip_address('fd00::1'))
        self.assertIsNone(given.address('none'))
        self.assertIsNone(given.address('absent'))
        self.assertEqual(self.machine.lines, [])

    def test_what_is_no_address_is_refused_without_being_shown(self):
        for value in (
            '10.0.0.256',
            '10.0.0.1\n',
            '10.0.0.1;reboot',
            '$(reboot)',
            '010.0.0.1',
            'fe80::1%eth0;x',
        ):
            self.machine.lines.clear()
            self.assertIsNone(self.arguments(dns1=value).address('dns1'), value)
            self.assertEqual(self.machine.lines, ['ignoring the argument dns1: no address'])

    def test_an_address_and_its_mask(self):
        for mask in ('255.255.255.0', '24'):
            self.assertEqual(
                self.arguments(ip='10.1.2.3', mask=mask).interface('ip', 'mask'),
                ipaddress.ip_interface('10.1.2.3/24'),
            )
        for mask in ('', '33', '255.0.255.0', '24 ; reboot'):
            self.assertIsNone(self.arguments(ip='10.1.2.3', mask=mask).interface('ip', 'mask'), mask)

    def test_networks_leave_out_what_is_none(self):
        found = self.arguments(mgmtcidr='10.1.2.3/8,x,192.168.0.0/16').networks('mgmtcidr')
        self.assertEqual([str(network) for network in found], ['10.0.0.0/8', '192.168.0.0/16'])
        self.assertEqual(self.machine.lines, ['ignoring the argument mgmtcidr: no network'])

    def test_names(self):
        for name in ('v-1-VM', 'r-4-VM.cs2cloud.internal', 'a'):
            self.assertEqual(self.arguments(name=name).host_name('name'), name)
        for name in ('-a', 'a-', 'a..b', 'a b', 'a\nb', '$(reboot)', 'a;b', 'a_b', 'x' * 64, 'é', '.'):
            self.assertEqual(self.arguments(name=name).host_name('name'), '', name)

    def test_numbers(self):
        self.assertEqual(self.arguments(mtu='9000').number('mtu', 576, 65535), 9000)
        for value in ('', '1', '-1500', '1e3', '٩٠٠٠', '1500;reboot', '99999999999'):
            self.assertIsNone(self.arguments(mtu=value).number('mtu', 576, 65535), value)
