"""What a host copies in: waited for, refused where it is bad, and let take over where it is good."""

import gzip
import hashlib
import io
import json
import tarfile
import zipfile

from support import MachineTest
from systemvm import archive, boot, patch
from systemvm.archive import Refused, read_archive
from systemvm.kvm import CMDLINE
from systemvm.machine import Result

SYSTEM = (
    'type=secstorage name=s-1-VM eth0ip=169.254.0.193 eth0mask=255.255.0.0 eth1ip=192.168.1.15 eth1mask=255.255.255.0 '
    'eth2ip=203.0.113.15 eth2mask=255.255.255.0 gateway=203.0.113.1'
)
ROUTER = (
    'type=router name=r-4-VM eth0ip=10.1.1.1 eth0mask=255.255.255.0 eth1ip=169.254.0.194 eth1mask=255.255.0.0 '
    'eth2ip=203.0.113.16 eth2mask=255.255.255.0 gateway=203.0.113.1 vmpassword=hush-hush'
)
THEIRS = '[Service]\nExecStart=/opt/cloud/bin/setup/theirs\n'
RULES = '*filter\n-A INPUT -i eth2 -p tcp --dport 3922 -j ACCEPT\nCOMMIT\n'


def tar(files, **special):
    """A tar file of texts by name; of the members in `special` by what they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as file:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text.encode()), 0o777
            file.addfile(member, io.BytesIO(text.encode()))
        for name, (kind, target) in special.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            file.addfile(member)
    return out.getvalue()


SCRIPTS = gzip.compress(
    tar(
        {
            './opt/cloud/bin/setup/bootstrap.sh': '#!/bin/bash\n',
            'opt/cloud/bin/patched.sh': '#!/bin/bash\n',
            'etc/iptables/iptables-router': RULES,
            'etc/iptables/iptables-secstorage': RULES,
            'etc/ssh/sshd_config': 'Port 3922\n#ListenAddress ::\n#ListenAddress 0.0.0.0\n',
            'etc/systemd/system/cloud-preinit.service': THEIRS,
            'etc/systemd/system/cloud-early-config.service': THEIRS,
            'etc/systemd/system/cloud-postinit.service': THEIRS,
            'etc/systemd/system/cloud-password-server@.service': THEIRS,
        }
    )
)


def pack(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as file:
        for name, text in files.items():
            file.writestr(name, text)
    return out.getvalue()


AGENT = pack(_run='#!/bin/bash\n')


class Reading(MachineTest):
    def refuse(self, content, reason):
        with self.assertRaises(Refused) as caught:
            read_archive(content)
        self.assertIn(reason, str(caught.exception))

    def test_a_good_one(self):
        found = read_archive(SCRIPTS)
        self.assertEqual(found.sha512, hashlib.sha512(SCRIPTS).hexdigest())
        self.assertIn('opt/cloud/bin/setup/bootstrap.sh', found.members)

    def test_every_way_to_be_cut_short(self):
        for length in (0, 1, 9, len(SCRIPTS) // 2, len(SCRIPTS) - 1):
            with self.subTest(length=length):
                self.refuse(SCRIPTS[:length], 'cut short')
        self.refuse(gzip.compress(gzip.decompress(SCRIPTS)[:700]), 'no sound tar')

    def test_what_is_no_archive(self):
        self.refuse(b'<html>404</html>', 'no sound gzip')
        self.refuse(gzip.compress(b'<html>404</html>' * 100), 'no sound tar')
        self.refuse(gzip.compress(b''), 'no sound tar')
        self.refuse(gzip.compress(tar({})), 'no files')
        self.refuse(SCRIPTS + b'more', 'something follows')
        damaged = bytearray(SCRIPTS)
        damaged[len(damaged) // 2] ^= 0xFF
        self.refuse(bytes(damaged), 'no sound')

    def test_names_that_lead_elsewhere(self):
        for name in ('/etc/passwd', '../etc/passwd', 'etc/../../x', 'etc/cron.d/..'):
            with self.subTest(name=name):
                self.refuse(gzip.compress(tar({name: 'x'})), 'leads out of it')
        for name in ('proc/sysrq-trigger', 'run/x', 'x'):
            with self.subTest(name=name):
                self.refuse(gzip.compress(tar({name: 'x'})), 'is in none of')
        self.refuse(gzip.compress(tar({'etc': 'x'})), 'take the place of a folder')

    def test_members_that_are_no_files(self):
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE):
            with self.subTest(kind=kind):
                self.refuse(gzip.compress(tar({}, **{'opt/x': (kind, 'etc/shadow')})), 'is no file')

    def test_a_file_behind_a_link(self):
        content = tar({'opt/x/passwd': 'x'}, **{'opt/x': (tarfile.SYMTYPE, '/etc')})
        self.refuse(gzip.compress(content), "through the link 'opt/x'")

    def test_what_grows_without_end(self):
        self.refuse(gzip.compress(bytes(archive.UNPACKED_LIMIT_BYTES + 1)), 'unpacks to more than 64 MiB')
        self.refuse(bytes(archive.PACKED_LIMIT_BYTES + 1), 'larger than 16 MiB')
        # A header may say whatever it likes.
        header = tarfile.TarInfo('opt/x')
        header.size = 1 << 40
        self.refuse(gzip.compress(header.tobuf()), 'no sound tar')


class Patching(MachineTest):
    def setUp(self):
        super().setUp()
        self.machine.put('/usr/share/cloud/cloud-scripts.tgz', 'ours')
        self.machine.put('/usr/local/cloud/systemvm/_run.sh', 'old')

    def copy(self, scripts=SCRIPTS, agent=AGENT):
        if agent is not None:
            self.machine.put(patch.AGENT, agent)
        if scripts is not None:
            self.machine.put(patch.SCRIPTS, scripts)

    def boot(self, text, *phases):
        self.machine.put(CMDLINE, text)
        for phase in phases or ('preinit', 'early-config', 'patch', 'postinit'):
            boot.PHASES[phase](self.machine)

    def at(self, seconds, **files):
        """Copies files in, so long after the boot began."""
        self.machine.events[self.machine.now + seconds] = lambda: self.copy(**files)

    def scripts(self):
        return json.loads(self.machine.read(boot.STATE))['scripts']

    def is_taken_over(self):
        return self.machine.read('/etc/systemd/system/cloud-early-config.service') == THEIRS

    def test_the_scripts_take_over_a_router(self):
        self.at(5)
        self.boot(ROUTER, 'preinit', 'early-config', 'patch')
        self.assertEqual(self.machine.failures, [])
        self.assertTrue(self.is_taken_over())
        self.assertIn('/opt/cloud/bin/setup/bootstrap.sh', self.machine.runs)
        digest = hashlib.sha512(SCRIPTS).hexdigest()
        self.assertEqual(self.machine.read(patch.SIGNATURE), f'{digest}\n')
        self.assertEqual(self.scripts(), digest)
        self.assertTrue(self.machine.exists(patch.REQUIRED))
        self.assertEqual(self.machine.read_bytes(patch.KEPT), SCRIPTS)
        self.assertFalse(self.machine.exists(patch.SCRIPTS))
        self.assertFalse(self.machine.exists(patch.AGENT))
        # A router has no agent.
        self.assertFalse(self.machine.exists(patch.PROGRAMS))
        self.assertEqual(self.mode('/opt/cloud/bin/patched.sh'), 0o755)
        # systemd has to know of their units before cloud-postinit, which is theirs now, starts.
        self.assertEqual(self.machine.runs[-1], 'systemctl daemon-reload')
        self.assertIn('-i eth1 -p tcp --dport 3922', self.machine.read('/etc/iptables/rules.v4'))
        self.assertEqual(
            self.machine.read('/etc/ssh/sshd_config'), 'Port 3922\nListenAddress 169.254.0.194\n'
        )
        # What would stand beside CloudStack's own at later boots.
        for path in (
            '/etc/sysctl.d/zzz-systemvm-role.conf',
            '/etc/iptables/rules.v6',
            '/etc/systemd/system/logrotate.timer.d/hourly.conf',
        ):
            self.assertFalse(self.machine.exists(path), path)

    def test_a_storage_vm_waits_for_its_agent_and_keeps_it(self):
        self.at(3, agent=None)
        self.at(20, scripts=None)
        began = self.machine.now
        self.boot(SYSTEM, 'preinit', 'early-config', 'patch')
        self.assertEqual(self.machine.failures, [])
        self.assertTrue(self.is_taken_over())
        self.assertGreater(self.machine.now - began, 20)
        self.assertTrue(self.machine.exists(patch.PROGRAMS))

    def test_nobody_copies_anything(self):
        began = self.machine.now
        self.boot(ROUTER)
        self.assertAlmostEqual(self.machine.now - began, patch.WAIT_SECONDS, delta=3)
        self.assertTrue(self.machine.exists(boot.DONE))
        self.assertEqual(self.scripts(), boot.OWN)
        self.assertIn('systemctl start', ' '.join(self.machine.runs))

    def test_a_lab_says_that_nobody_will(self):
        began = self.machine.now
        self.boot(f'{ROUTER} scriptswait=0')
        self.assertEqual(self.machine.now, began)
        self.assertEqual(self.scripts(), boot.OWN)

    def test_these_are_never_patched(self):
        for kind in patch.NEVER_PATCHED:
            with self.subTest(kind=kind):
                began = self.machine.now
                self.boot(f'type={kind} name=n-1-VM', 'preinit', 'patch')
                self.assertEqual(self.machine.now, began)

    def test_a_boot_without_a_new_hand_over_waits_for_nothing(self):
        self.boot(f'{ROUTER} scriptswait=0')
        began = self.machine.now
        for phase in ('preinit', 'early-config', 'patch', 'postinit'):
            boot.PHASES[phase](self.machine)
        self.assertAlmostEqual(self.machine.now - began, boot.LATER_WAIT_SECONDS, delta=0.5)

    def test_a_bad_copy_is_told_and_a_good_one_taken(self):
        self.at(2, scripts=SCRIPTS[:100])
        self.at(30, scripts=gzip.compress(tar({'../x': 'x'})))
        self.at(60)
        self.boot(ROUTER, 'preinit', 'early-config', 'patch')
        refusals = [line for line in self.machine.lines if line.startswith('refusing')]
        self.assertEqual(len(refusals), 2)
        self.assertIn('cut short', refusals[0])
        self.assertIn("'../x' leads out of it", refusals[1])
        self.assertTrue(self.is_taken_over())

    def test_after_nothing_but_bad_copies_there_is_no_finished_boot(self):
        self.at(2, scripts=b'nonsense')
        self.boot(ROUTER)
        self.assertEqual(self.machine.failures, ['scripts of CloudStack'])
        self.assertFalse(self.machine.exists(boot.DONE))
        self.assertFalse(self.is_taken_over())
        self.assertIn('failed: scripts of CloudStack: it is no sound gzip', ' '.join(self.machine.lines))
        # The way in is there all the same.
        self.assertIn('ListenAddress 169.254.0.194', self.machine.read('/etc/ssh/sshd_config.d/listen.conf'))

    def test_a_copy_that_goes_on_is_waited_for(self):
        for second in range(1, 200):
            self.at(second, scripts=SCRIPTS[: len(SCRIPTS) * second // 200], agent=None)
        self.at(200, agent=None)
        # Somebody has it open to write, as scp has until the end.
        self.machine.put(patch.SCRIPTS)
        self.boot(ROUTER, 'preinit', 'early-config', 'patch')
        self.assertTrue(self.is_taken_over())

    def test_a_file_that_is_open_to_write_is_not_read(self):
        self.machine.put(patch.SCRIPTS, SCRIPTS)
        with open(self.machine.path(patch.SCRIPTS), 'ab'):
            self.assertTrue(patch.is_anything_written(self.machine))
            self.assertIsNone(patch.await_archive(self.machine, 10, needs_agent=False).archive)
        self.assertIsNotNone(patch.await_archive(self.machine, 10, needs_agent=False).archive)

    def test_what_an_earlier_boot_was_given_is_not_taken_for_this_one(self):
        self.copy(scripts=b'left by a boot that was killed')
        self.boot(f'{ROUTER} scriptswait=5', 'preinit', 'early-config', 'patch')
        self.assertEqual(self.machine.failures, [])
        self.assertEqual(self.scripts(), boot.OWN)

    def test_a_bootstrap_that_fails_leaves_the_boot_to_this_package(self):
        self.at(1)
        self.machine.answers['/opt/cloud/bin/setup/bootstrap.sh'] = Result(1, '+ echo root:hush-hush')
        self.boot(ROUTER)
        self.assertEqual(self.machine.failures, ['scripts of CloudStack'])
        self.assertFalse(self.is_taken_over())
        self.assertFalse(self.machine.exists(boot.DONE))
        self.assertEqual(self.machine.read('/var/log/bootstrap.log'), '+ echo root:…\n')
        self.assertEqual(self.mode('/var/log/bootstrap.log'), 0o600)

    def test_an_agent_that_would_fill_the_disk(self):
        for agent, reason in (
            (b'PK nonsense', 'no sound zip'),
            (pack(**{'../x': 'x'}), 'leads out of it'),
        ):
            with self.subTest(reason=reason):
                self.copy(agent=agent)
                awaited = patch.await_archive(self.machine, 5, needs_agent=True)
                self.assertIsNone(awaited.archive)
                self.assertIn(reason, awaited.refusal)
        spare, patch.SPARE_BYTES = patch.SPARE_BYTES, 1 << 60
        self.addCleanup(setattr, patch, 'SPARE_BYTES', spare)
        self.copy()
        self.assertIn('there is room for 0', patch.await_archive(self.machine, 5, True).refusal)
