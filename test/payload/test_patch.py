"""What a host copies in: waited for, refused where it is bad, and let take over where it is good."""

import gzip
import hashlib
import io
import json
import os
import signal
import tarfile
import tempfile
import time
import zipfile

from support import MachineTest
from systemvm import archive, boot, patch
from systemvm.archive import Refused, read_archive
from systemvm.kvm import CMDLINE
from systemvm.machine import Machine, Result

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


def header(name, size=0, kind=tarfile.REGTYPE):
    """A header that says whatever it likes, which tarfile would not write."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size.to_bytes(12, 'big', signed=True) if size < 0 else b'\x80' + size.to_bytes(11, 'big')
    block[148:157] = b' ' * 8 + kind
    block[148:156] = b'%06o\0 ' % sum(block)
    return bytes(block)


def about(kind, text):
    return header('about', len(text), kind) + text + bytes(-len(text) % 512)


def out_of_time(*_):
    raise TimeoutError


def without(*names):
    return {name: text for name, text in FILES.items() if name not in names}


FILES = {
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
SCRIPTS = gzip.compress(tar(FILES))


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
        self.refuse(gzip.compress(bytes(archive.UNPACKED_LIMIT_BYTES + 1)), 'unpacks to more than 16 MiB')
        self.refuse(bytes(archive.PACKED_LIMIT_BYTES + 1), 'larger than 4 MiB')
        # A header may say whatever it likes.
        header = tarfile.TarInfo('opt/x')
        header.size = 1 << 40
        self.refuse(gzip.compress(header.tobuf()), 'no sound tar')

    def test_headers_that_say_what_is_not_so(self):
        file = tar({'opt/a': 'x'})[:1024]
        # tarfile goes back by a negative size, and reads the same header without end.
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, out_of_time))
        self.addCleanup(signal.alarm, 0)
        signal.alarm(20)
        for content in (
            header('opt/b', -512),
            header('opt/b', 1 << 80),
            about(tarfile.XHDTYPE, b'14 size=-1024\n') + header('opt/b'),
            about(tarfile.XHDTYPE, b'36 size=999999999999999999999999999\n') + header('opt/b'),
            # It goes deeper with each of these.
            about(tarfile.GNUTYPE_LONGNAME, b'opt/b') * 1500 + header('opt/b'),
            about(tarfile.XHDTYPE, b'x' * 20_000) + header('opt/b'),
            # It takes these for the end, and what follows is lost.
            b'?' * 512 + header('opt/b'),
            header('opt/b')[:100],
            about(tarfile.XHDTYPE, b'0 path=x\n\n') + header('opt/b'),
            bytes(512) + header('opt/b'),
            b'',
        ):
            with self.subTest(content=content[:700].replace(bytes(8), b'')):
                self.refuse(gzip.compress(file + content + (bytes(1024) if content else b'')), 'no sound tar')

    def test_names_that_no_file_can_have(self):
        for name, reason in (
            ('opt/' + 'n' * 300, 'too long a name'),
            ('opt' + '/n' * 1000, 'too long a name'),
            # Each of its folders is a name of its own: together they would not fit into memory.
            ('opt' + '/n' * 4000, 'too long a name'),
        ):
            with self.subTest(length=len(name)):
                self.refuse(gzip.compress(tar({name: 'x'})), reason)
        content = about(tarfile.XHDTYPE, b'15 path=opt/\0y\n') + header('opt/b') + bytes(1024)
        self.refuse(gzip.compress(content), 'a byte that no name has')

    def test_a_file_that_is_a_folder_elsewhere(self):
        self.refuse(gzip.compress(tar({'opt/x': 'x', 'opt/x/y': 'x'})), "through the file 'opt/x'")

    def test_one_name_many_times(self):
        self.refuse(gzip.compress(header('opt/a') * 30_000 + bytes(1024)), 'more than 10000 members')


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

    def test_the_host_is_told_when_bootstrap_is_done_and_not_before(self):
        seen = []
        run = self.machine.run

        def watch(*words, **more):
            if words[0] == patch.BOOTSTRAP:
                seen.append(self.machine.exists('/opt/cloud/bin/patched.sh'))
            return run(*words, **more)

        self.machine.run = watch
        self.at(1)
        self.boot(ROUTER, 'preinit', 'early-config', 'patch')
        self.assertEqual(seen, [False])
        self.assertTrue(self.machine.exists('/opt/cloud/bin/patched.sh'))

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

    def test_a_wait_that_is_no_number_is_told_and_the_usual_one_taken(self):
        self.at(1)
        self.boot(f'{ROUTER} scriptswait=soon', 'preinit', 'early-config', 'patch')
        self.assertTrue(self.is_taken_over())
        self.assertIn('ignoring the argument scriptswait: no number from 0 to 420', self.machine.lines)

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

    def test_an_agent_that_was_copied_over_another(self):
        damaged, sealed = bytearray(AGENT), bytearray(AGENT)
        damaged[40] ^= 0xFF
        sealed[6] |= 1
        sealed[sealed.index(b'PK\1\2') + 8] |= 1
        for agent, reason in ((damaged, 'damaged'), (sealed, 'encrypted'), (pack(), 'is empty')):
            with self.subTest(reason=reason):
                self.copy(agent=bytes(agent))
                self.assertIn(reason, patch.await_archive(self.machine, 5, needs_agent=True).refusal)

    def test_an_archive_without_what_takes_over(self):
        for name in ('./opt/cloud/bin/setup/bootstrap.sh', 'etc/systemd/system/cloud-postinit.service'):
            with self.subTest(name=name):
                # An earlier copy's would be run.
                self.machine.put('/opt/cloud/bin/setup/bootstrap.sh', 'old')
                self.copy(scripts=gzip.compress(tar(without(name))))
                refusal = patch.await_archive(self.machine, 5, needs_agent=False).refusal
                self.assertIn(name.lstrip('./'), refusal)

    def test_what_is_on_the_system_is_in_the_way(self):
        os.makedirs(self.machine.path('/opt/folder'))
        elsewhere = tempfile.TemporaryDirectory()
        self.addCleanup(elsewhere.cleanup)
        os.symlink(elsewhere.name, self.machine.path('/opt/link'))
        self.machine.put('/opt/file')
        for files, special, reason in (
            ({'opt/folder': 'x'}, {}, "'opt/folder' is a folder"),
            ({}, {'opt/folder': (tarfile.SYMTYPE, 'x')}, "'opt/folder' is a folder"),
            ({}, {'opt/file': (tarfile.DIRTYPE, '')}, "'opt/file' is no folder"),
            ({'opt/link/x': 'x'}, {}, "'opt/link' leads to"),
        ):
            with self.subTest(reason=reason):
                self.copy(scripts=gzip.compress(tar({**FILES, **files}, **special)))
                self.assertIn(reason, patch.await_archive(self.machine, 5, needs_agent=False).refusal)

    def test_a_link_in_the_place_of_a_draft(self):
        self.machine.put('/etc/shadow', 'kept')
        links = {f'opt/x.{end}': (tarfile.SYMTYPE, '../etc/shadow') for end in ('new', 'systemvm-draft')}
        # The links are laid first.
        content = tar({}, **links)[:1024] + tar({'opt/x': 'x', 'opt/y': 'y', 'opt/y.new': 'new'})
        read_archive(gzip.compress(content)).unpack(self.machine, lambda _: True)
        self.assertEqual(self.machine.read('/etc/shadow'), 'kept')
        self.assertEqual(self.machine.read('/opt/x'), 'x')
        self.assertEqual(self.machine.read('/opt/y.new'), 'new')

    def test_a_copy_that_stops_is_not_taken_for_none(self):
        for agent, scripts in ((AGENT, None), (AGENT, SCRIPTS)):
            with self.subTest(scripts=scripts is not None):
                self.machine.failures.clear()
                self.at(5, agent=agent, scripts=scripts)
                opened = []
                if scripts is not None:
                    # Its scp hangs.
                    self.machine.events[self.machine.now + 5.5] = lambda opened=opened: opened.append(
                        open(self.machine.path(patch.SCRIPTS), 'ab')
                    )
                self.boot(f'{ROUTER} guest={len(self.machine.runs)}')
                for file in opened:
                    file.close()
                self.assertEqual(self.machine.failures, ['scripts of CloudStack'])
                self.assertFalse(self.machine.exists(boot.DONE))

    def test_what_cannot_be_read_is_a_step_that_failed(self):
        self.boot(ROUTER, 'preinit', 'early-config')

        def fail(*_):
            raise OSError('Input/output error')

        self.machine.identify = fail
        boot.patch(self.machine)
        self.assertEqual(self.scripts(), boot.OWN)
        self.assertIn('scripts of CloudStack', self.machine.failures)

    def test_the_next_copy_begins_while_bootstrap_runs(self):
        for scripts in (SCRIPTS[:100], None):
            with self.subTest(scripts=scripts):
                self.at(1)

                def run(*words, scripts=scripts, **more):
                    if words[0] == patch.BOOTSTRAP:
                        self.machine.remove(patch.SCRIPTS)
                        self.copy(scripts=scripts)
                    return type(self.machine).run(self.machine, *words, **more)

                self.machine.run = run
                self.boot(f'{ROUTER} guest={len(self.machine.runs)}', 'preinit', 'early-config', 'patch')
                self.assertEqual(self.machine.failures, [])
                self.assertEqual(self.machine.read_bytes(patch.KEPT), SCRIPTS)
                self.assertEqual(
                    self.machine.read(patch.SIGNATURE), hashlib.sha512(SCRIPTS).hexdigest() + '\n'
                )

    def test_a_bootstrap_that_fails_leaves_what_the_management_server_asks(self):
        # CloudStack's answers after four minutes, whether or not the machine is up.
        theirs = {'opt/cloud/bin/get_template_version.sh': 'theirs'}
        self.machine.put('/opt/cloud/bin/get_template_version.sh', 'ours')
        self.at(1, scripts=gzip.compress(tar({**FILES, **theirs})))
        self.machine.put(patch.SIGNATURE, 'of the image\n')
        self.machine.answers[patch.BOOTSTRAP] = Result(1, '')
        self.boot(ROUTER)
        self.assertEqual(self.machine.read(patch.SIGNATURE), 'of the image\n')
        self.assertEqual(self.machine.read('/opt/cloud/bin/get_template_version.sh'), 'ours')
        self.at(1, scripts=gzip.compress(tar({**FILES, **theirs})))
        self.machine.answers.pop(patch.BOOTSTRAP)
        self.boot(f'{ROUTER} again=1', 'preinit', 'early-config', 'patch')
        self.assertEqual(self.machine.read('/opt/cloud/bin/get_template_version.sh'), 'theirs')

    def test_sshd_of_a_boot_that_did_not_end_gets_the_next_address(self):
        self.at(1)
        self.machine.answers[patch.BOOTSTRAP] = Result(1, '')
        self.boot(ROUTER)
        self.assertIn('ListenAddress 169.254.0.194', self.machine.read('/etc/ssh/sshd_config'))
        self.boot(ROUTER.replace('169.254.0.194', '169.254.7.7'), 'preinit', 'early-config')
        self.assertEqual(self.machine.read('/etc/ssh/sshd_config'), 'Port 3922\nListenAddress 169.254.7.7\n')
        # Debian's own reads the folder.
        self.machine.put('/etc/ssh/sshd_config', 'Include /etc/ssh/sshd_config.d/*.conf\n')
        self.boot(ROUTER, 'early-config')
        self.assertNotIn('ListenAddress', self.machine.read('/etc/ssh/sshd_config'))

    def test_killed_between_two_units_it_is_patched_again(self):
        class Killed(BaseException):
            pass

        for count in (1, 2):
            with self.subTest(count=count):
                laid = []

                def write_bytes(path, content, mode=0o644, laid=laid, count=count):
                    if path in patch.UNITS and len(laid) == count:
                        raise Killed
                    laid.extend([path] if path in patch.UNITS else [])
                    return type(self.machine).write_bytes(self.machine, path, content, mode)

                self.at(1)
                self.machine.write_bytes = write_bytes
                with self.assertRaises(Killed):
                    self.boot(f'{ROUTER} guest={count}', 'preinit', 'early-config', 'patch')
                # Whatever else is theirs, early-config configures the network, and asks for cloud-patch.
                self.assertFalse(self.is_taken_over())
                self.assertEqual(self.machine.read_bytes(patch.KEPT), SCRIPTS)

    def test_no_secret_is_told_in_part_or_in_quotes(self):
        # What `set -x` of bash says of CloudStack's loop, which cuts a value at its second `=`.
        output = (
            "++ echo keystore_password=c2VjcmV0LW9mLWtleXM== 'vmpassword=it'\''s-hidden'\n"
            "+ VALUE=c2VjcmV0LW9mLWtleXM\n+ P=$'abc-\\303\\251-hidden-too'\n+ ROUTER_PR=vrrp-s1\n"
        )
        values = {
            'keystore_password': 'c2VjcmV0LW9mLWtleXM==',
            'vmpassword': "it's-hidden",
            'router_password': 'vrrp-s1',
            'privatekey': 'abc-é-hidden-too',
            # A part of another.
            'userdata': 'c2Vj',
        }
        told = patch.redact(output, self.arguments(**values))
        for secret in ('c2Vj', 'cmV0', 'hidden', 'abc-', 'vrrp'):
            self.assertNotIn(secret, told)

    def test_a_program_that_takes_too_long_ends_with_what_it_started(self):
        machine = Machine(self.machine.root)
        script = '(sleep 1; touch "$0") & wait'
        code, output = machine.run('sh', '-c', script, machine.path('/left'), timeout_seconds=0.3)
        self.assertEqual(code, 124)
        self.assertIn('longer than 0.3 s', output)
        time.sleep(1.2)
        self.assertFalse(machine.exists('/left'))
