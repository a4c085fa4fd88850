"""User data among the boot arguments, and what cloud-init is given of them."""

import binascii
import gzip

from support import MachineTest
from systemvm.machine import Result
from systemvm.userdata import CONFIG, LIMIT_BYTES, SEED, decode, run_user_data

DATA = '#cloud-config\nruncmd:\n  - touch /run/here\n'


def pack(content):
    return binascii.b2a_base64(gzip.compress(content), newline=False).decode()


class UserData(MachineTest):
    def run_with(self, text):
        run_user_data(self.machine, self.arguments(name='r-4-VM', userdata=text))

    def test_cloud_init_runs_in_its_four_stages(self):
        self.run_with(pack(DATA.encode()))
        self.assertEqual(
            self.machine.runs,
            [
                'cloud-init init --local',
                'cloud-init init',
                'cloud-init modules --mode=config',
                'cloud-init modules --mode=final',
            ],
        )
        self.assertEqual(self.machine.read(f'{SEED}/user-data'), DATA)
        self.assertEqual(self.mode(f'{SEED}/user-data'), 0o600)
        self.assertEqual(
            self.machine.read(f'{SEED}/meta-data'), 'instance-id: r-4-VM\nlocal-hostname: r-4-VM\n'
        )
        self.assertIn("datasource_list: ['NoCloud']\n", self.machine.read(CONFIG))

    def test_without_any_nothing_runs(self):
        self.run_with('')
        self.assertEqual(self.machine.runs, [])
        self.assertFalse(self.machine.exists(CONFIG))

    def test_what_fails_is_told_and_ends_it(self):
        self.machine.answers['cloud-init'] = Result(1, 'first\nlast words')
        self.run_with(pack(DATA.encode()))
        self.assertEqual(len(self.machine.runs), 1)
        self.assertEqual(
            self.machine.lines[-1], 'user data: cloud-init init --local ended with 1: last words'
        )
        self.assertEqual(self.machine.failures, [])

    def test_what_is_none_is_refused(self):
        whole = pack(DATA.encode())
        bomb = pack(b'x' * (LIMIT_BYTES + 1))
        raw = binascii.b2a_base64(DATA.encode(), newline=False).decode()
        for text in ('$(reboot)', raw, whole[:24], bomb, pack(b'\xff\xfe\xff')):
            with self.subTest(text=text[:24]):
                self.run_with(text)
                self.assertEqual(self.machine.runs, [])
                self.assertTrue(self.machine.lines[-1].startswith('ignoring the argument userdata: '))
                self.assertFalse(self.machine.exists(SEED))

    def test_the_largest_that_is_taken(self):
        self.assertEqual(len(decode(pack(b'x' * LIMIT_BYTES))), LIMIT_BYTES)
