import { createHash } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import type { Expected } from '../../../src/contract/expected.ts'
import { contentChecksOf } from '../../../src/contract/registry.ts'
import type { PartitionFacts } from '../../../src/disk/image-files.ts'
import { type FakeFile, fakeImageFiles } from '../../support/image-files.ts'

const partition = (over: Partial<PartitionFacts>): PartitionFacts => ({
  number: 1,
  filesystem: 'ext4',
  bootable: false,
  startSector: 2048,
  sectors: 2048,
  reservedBlocks: 0,
  mount: undefined,
  ...over,
})

const partitions = [
  partition({ number: 1, filesystem: 'ext2', bootable: true, mount: '/boot' }),
  partition({ number: 5, filesystem: 'swap', startSector: 6000, reservedBlocks: undefined }),
  partition({ number: 6, startSector: 9000, mount: '/' }),
]

const archive = 'packed scripts'
const kernelLine =
  'console=hvc0 console=tty0 console=ttyS0,115200n8 net.ifnames=0 biosdevname=0 fsck.repair=yes panic=10'
const grub = (seconds: number, words = kernelLine) =>
  `if x ; then\n  set timeout=30\nelse\n  set timeout=${seconds}\nfi\n### END /etc/grub.d/00_header ###\n\tlinux /vmlinuz-6 root=UUID=1 ro ${words}\n`

const disabledByFile = '[Unit]\nConditionPathExists=!/etc/cloud/cloud-init.disabled\n'

/** Nothing of what any check asks is missing or wrong here. */
const sound: Readonly<Record<string, FakeFile>> = {
  '/boot/grub/grub.cfg': grub(0),
  '/etc/fstab':
    'UUID=6 / ext4 errors=remount-ro 0 1\nUUID=1 /boot ext2 defaults,nofail 0 2\nUUID=5 none swap sw,nofail 0 0\n',
  '/etc/systemd/system/emergency.target': { link: '/dev/null' },
  '/etc/cloudstack-release': 'Cloudstack Release 4.22.0 Sun Nov  1 00:00:00 UTC 2026\n',
  '/usr/share/cloud/cloud-scripts.tgz': archive,
  '/var/cache/cloud/cloud-scripts-signature': `${createHash('sha512').update(archive).digest('hex')}\n`,
  '/opt/cloud/bin/get_template_version.sh': { text: '#!/bin/sh', mode: 0o755 },
  '/usr/local/cloud': 'folder',
  '/var/www/html': 'folder',
  '/etc/cloudstack': 'folder',
  '/var/lib/haproxy': 'folder',
  '/opt/tftpboot': 'folder',
  '/etc/profile.d/cloud.sh': { text: 'PATH', mode: 0o755 },
  '/usr/bin/xenstore-read': { text: 'elf', mode: 0o755 },
  '/usr/lib/modules/6.12/modules.dep': 'kernel/net/nf_conntrack-ftp.ko.xz: kernel/net/nf_conntrack.ko.xz\n',
  '/usr/lib/modules/6.12/modules.builtin': 'kernel/fs/ext4/ext4.ko\n',
  '/etc/modules-load.d/a.conf': '# comment\nnf_conntrack_ftp\next4\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/bash\ncloud:x:1000:1000::/home/cloud:/bin/bash\n',
  '/etc/group': 'admin:x:100:cloud\n',
  '/etc/shadow': 'root:*:1::\ncloud:*:1::\n',
  '/etc/sudoers': 'root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n',
  '/etc/sudoers.d/systemvm':
    'Cmnd_Alias SYSTEMVM = /bin/chmod, /bin/cp, \\\n /sbin/halt\n%admin ALL=(root) NOPASSWD: SYSTEMVM\n',
  '/etc/localtime': { link: '/usr/share/zoneinfo/Etc/UTC' },
  '/usr/share/zoneinfo/Etc/UTC': 'TZif2',
  '/usr/share/zoneinfo/tzdata.zi': '# version 2026f',
  '/etc/default/locale': 'LANG=en_US.UTF-8\nLC_ALL=en_US.UTF-8\n',
  '/usr/lib/locale/locale-archive': 'head\0en_US.utf8\0data',
  '/etc/iproute2/rt_tables': '255\tlocal\n254\tmain\n',
  '/etc/sysctl.conf': 'net.ipv4.conf.all.arp_ignore = 2\n',
  '/etc/ntpsec/ntp.conf': '# server\n',
  '/etc/cloud/cloud.cfg.d/cloudstack.cfg': "datasource_list: ['CloudStack']\n",
  '/var/lib/dpkg/info/containerd.list': '/usr/bin/containerd\n',
  '/usr/lib/cni': { link: '/opt/cni/bin' },
  '/var/opt/hyperv': { link: '../lib/hyperv' },
  '/etc/apache2/apache2.conf':
    '<Directory /var/www/>\n  Options Indexes FollowSymLinks\n  AllowOverride None\n</Directory>\n',
  '/etc/apache2/conf-enabled/web.conf':
    '<Directory /var/www/>\n  Options FollowSymLinks\n  AllowOverride All\n</Directory>\n',
  '/etc/apache2/sites-enabled/vhost-a.conf': '',
  '/etc/systemd/system-generators/cloud-init-generator': { link: '/dev/null' },
  '/usr/lib/systemd/system/cloud-init.service': '[Unit]\n',
  '/usr/lib/systemd/system/cloud-config.service': disabledByFile,
  '/usr/lib/systemd/system/cloud-final.service': disabledByFile,
  '/etc/systemd/system/ntp.service': '[Unit]\n',
  '/usr/sbin/dhclient': { text: 'elf', mode: 0o755 },
  '/etc/machine-id': '',
  '/etc/resolv.conf': '# Written by DHCP.\n',
  '/var/lib/dpkg/info/a.list': '/.\n/bin/cp\n/usr/bin\n/usr/bin/xenstore-read\n/sbin/dhclient\n',
  '/usr/bin/cp': { text: 'elf', mode: 0o755 },
  '/usr/bin/editor': { link: '/etc/alternatives/editor' },
  ...Object.fromEntries(
    ['consoleproxy', 'secstorage', 'router', 'vpcrouter', 'dhcpsrvr', 'elbvm', 'ilbvm'].map((role) => [
      `/etc/iptables/iptables-${role}`,
      '*filter',
    ]),
  ),
  '/etc/iptables/rt_tables_init': '',
  '/etc/iptables/systemvm-deny.nft': ['ip', 'ip6']
    .map((family) => {
      const chains = ['input', 'forward'].map(
        (hook) => `type filter hook ${hook} priority filter; policy drop;`,
      )
      return `table ${family} filter\ntable ${family} filter {\n${chains.join('\n')}\n}\n`
    })
    .join(''),
  ...Object.fromEntries(
    ['multi-user.target.wants', 'networking.service.requires', 'ifup@.service.requires'].map((folder) => [
      `/etc/systemd/system/${folder}/systemvm-filter.service`,
      { link: '/etc/systemd/system/systemvm-filter.service' },
    ]),
  ),
}

interface Change {
  readonly files?: Readonly<Record<string, FakeFile | undefined>>
  readonly partitions?: readonly PartitionFacts[]
  readonly partitionTable?: string
  readonly expected?: Partial<Expected>
}

/** Ids of the checks that fail on the sound image with something changed. */
async function failures(change: Change = {}): Promise<string[]> {
  const files = Object.entries({ ...sound, ...change.files }).filter(([, file]) => file !== undefined)
  const image = { partitions, ...change, files: Object.fromEntries(files) as Record<string, FakeFile> }
  const subject = {
    files: fakeImageFiles(image),
    expected: { arch: 'x86_64' as const, account: 'cloud', release: '4.22.0', ...change.expected },
  }
  const found = await Promise.all(
    contentChecksOf('cloudstack').map(async (check) => [check.id, await check.run(subject)] as const),
  )
  return found.filter(([, { status }]) => status === 'failed').map(([id]) => id)
}

/** What differs on ARM. */
const gpt: readonly PartitionFacts[] = [
  {
    ...(partitions[0] as PartitionFacts),
    number: 1,
    filesystem: 'vfat',
    mount: '/boot/efi',
    startSector: 2048,
    bootable: false,
    reservedBlocks: undefined,
  },
  ...partitions.map((one) => ({
    ...one,
    number: one.mount === '/boot' ? 2 : one.number,
    startSector: one.startSector + 4096,
    bootable: false,
  })),
]
const onArm = (change: Change = {}): Change => ({
  partitionTable: 'gpt',
  partitions: gpt,
  expected: { arch: 'aarch64' },
  ...change,
  files: {
    '/boot/grub/grub.cfg': String(sound['/boot/grub/grub.cfg']).replace('ttyS0,115200n8', 'ttyAMA0'),
    ...change.files,
  },
})
const without = (path: string): Change => ({ files: { [path]: undefined } })
const file = (path: string, content: FakeFile): Change => ({ files: { [path]: content } })
const link = (path: string, target: string): Change => file(path, { link: target })
/** As the stand-in below understands them. */
const ofPassword = '$6$of$password'
const ofNobodyKnows = '$6$of$nobody knows'

// Hashes are compared by a program: `test/programs/contract/crypt.test.ts` has it judge real ones.
vi.mock('../../../src/contract/crypt.ts', () => ({
  matchesPassword: async (hash: string, passwords: readonly string[]) =>
    passwords.find((password) => hash === (password === '' ? '' : `$6$of$${password}`)),
}))

describe('what is on a disk', () => {
  it('is found sound where it is', async () => {
    expect(await failures(), 'a new check needs what it looks for in `sound` of this file').toEqual([])
  })

  it('is found sound on ARM, with a GPT that has the EFI system partition first', async () => {
    expect(await failures(onArm())).toEqual([])
  })

  it('is found sound where it starts by UEFI as well, from between /boot and the last partitions', async () => {
    const [boot, ...rest] = partitions as [PartitionFacts, ...PartitionFacts[]]
    const esp = { ...(gpt[0] as PartitionFacts), number: 3, startSector: boot.startSector + boot.sectors }
    expect(await failures({ partitions: [boot, esp, ...rest] })).toEqual([])
    expect(await failures({ partitions: [esp, boot, ...rest] })).toEqual(['A4'])
  })

  it.each<[string, Change, string[]]>([
    ['a GPT', { partitionTable: 'gpt' }, ['A4']],
    ["an MBR for ARM, and a PC's console", { expected: { arch: 'aarch64' } }, ['A4', 'A6']],
    ['a GPT without a file system for firmware', onArm({ partitions: gpt.slice(1) }), ['A4']],
    [
      'one whose root is 4',
      onArm({ partitions: gpt.map((one) => ({ ...one, number: one.number === 6 ? 4 : one.number })) }),
      ['A4'],
    ],
    [
      'swap behind the root',
      {
        partitions: [
          partitions[0],
          partitions[2],
          { ...partitions[1], startSector: 12000 },
        ] as PartitionFacts[],
      },
      ['A4'],
    ],
    [
      '/boot without its flag',
      { partitions: partitions.map((one) => ({ ...one, bootable: false })) },
      ['A4'],
    ],
    [
      'reserved blocks',
      { partitions: partitions.map((one) => (one.mount === '/' ? { ...one, reservedBlocks: 5 } : one)) },
      ['A5'],
    ],
    ['a boot menu that waits', file('/boot/grub/grub.cfg', grub(5)), ['A6']],
    [
      'interface names of systemd',
      file('/boot/grub/grub.cfg', grub(0, kernelLine.replace('net.ifnames=0', ''))),
      ['A6'],
    ],
    ['no serial console', file('/boot/grub/grub.cfg', grub(0, kernelLine.replace('ttyS0', 'ttyS1'))), ['A6']],
    ['no boot menu at all', without('/boot/grub/grub.cfg'), ['A6']],
    ['documentation', file('/usr/share/doc/bash/README', ''), ['A7']],
    ['a lease', file('/var/lib/dhcp/dhclient.leases', ''), ['A7']],
    ['interface rules', file('/etc/udev/rules.d/70-persistent-net.rules', ''), ['A7']],
    ['another release', file('/etc/cloudstack-release', 'Cloudstack Release 4.21.0 x'), ['A8']],
    ['a release in other words', file('/etc/cloudstack-release', 'CloudStack 4.22.0'), ['A8']],
    ['other scripts than were signed', file('/usr/share/cloud/cloud-scripts.tgz', 'x'), ['A9']],
    ['no signature', file('/var/cache/cloud/cloud-scripts-signature', ''), ['A9']],
    ['a folder that is missing', without('/opt/tftpboot'), ['A10']],
    ['a program that is not executable', file('/opt/cloud/bin/get_template_version.sh', 'x'), ['A11']],
    ['a private key', file('/root/.ssh/id_rsa', '-----BEGIN OPENSSH PRIVATE KEY-----'), ['A12']],
    ['a history', file('/root/.bash_history', 'ls'), ['A12']],
    ['package lists', file('/var/lib/apt/lists/deb_dists_trixie_InRelease', ''), ['A12']],
    ['something in /tmp', file('/tmp/x', ''), ['A12']],
    ['an account that is no admin', file('/etc/group', 'admin:x:100:\n'), ['A13']],
    [
      'all commands without a password',
      file('/etc/sudoers.d/cloud', 'cloud ALL=(ALL) NOPASSWD: ALL\n'),
      ['A14'],
    ],
    ['no table to add routes to', without('/etc/iproute2/rt_tables'), ['A15']],
    ['no settings of the kernel to edit', without('/etc/sysctl.conf'), ['A15']],
    ['no place for time servers', file('/etc/ntpsec/ntp.conf', 'pool a\n'), ['A15']],
    [
      'sources of data by lines',
      file('/etc/cloud/cloud.cfg.d/cloudstack.cfg', 'datasource_list:\n- None\n'),
      ['A15'],
    ],
    ['swap by tabs', file('/etc/fstab', 'UUID=1\tnone\tswap\tsw,nofail\t0\t0\n'), ['A15']],
    ["plug-ins in Debian's folder", without('/usr/lib/cni'), ['A16']],
    ["Debian's place of Hyper-V alone", without('/var/opt/hyperv'), ['A17']],
    ['a site of another name', file('/etc/apache2/sites-enabled/000-default.conf', ''), ['A18']],
    ['a web server as Debian has it', without('/etc/apache2/conf-enabled/web.conf'), ['A18']],
    ['cloud-init at boot', without('/etc/systemd/system-generators/cloud-init-generator'), ['B11']],
    ['cloud-init that cannot start', file('/etc/cloud/cloud-init.disabled', ''), ['B14']],
    ['cloud-init by other names', without('/usr/lib/systemd/system/cloud-init.service'), ['B14']],
    ['ntp as an alias', link('/etc/systemd/system/ntp.service', '/usr/lib/x.service'), ['B15']],
    ['no ntp', without('/etc/systemd/system/ntp.service'), ['B15']],
    ['no dhclient', without('/usr/sbin/dhclient'), ['B16']],
    ['another DHCP client', link('/usr/sbin/udhcpc', '/etc/alternatives/udhcpc'), ['B16']],
    ['no xenstore-read', { files: { '/usr/bin/xenstore-read': undefined } }, ['E1']],
    ['a host key', file('/etc/ssh/ssh_host_rsa_key', 'x'), ['F1']],
    ['a machine id', file('/etc/machine-id', `${'0a'.repeat(16)}\n`), ['F2']],
    ['the traditional password', file('/etc/shadow', `root:${ofPassword}:1::\ncloud:*:1::\n`), ['F3']],
    ['an empty password', file('/etc/shadow', 'root::1::\ncloud:*:1::\n'), ['F3']],
    ['a password of the account', file('/etc/shadow', `root:*:1::\ncloud:${ofNobodyKnows}:1::\n`), ['F4']],
    ['two entries for root', file('/etc/shadow', 'root::1::\nroot:*:1::\ncloud:*:1::\n'), ['F3']],
    [
      'two of the account',
      file('/etc/shadow', `root:*:1::\ncloud:${ofNobodyKnows}:1::\ncloud:*:1::\n`),
      ['F4'],
    ],
    [
      "root for everybody, in a line that is not one of JavaScript's",
      file('/etc/sudoers.d/more', 'cloud ALL=(ALL) NOPASSWD: ALL # \u2028\n'),
      ['A14'],
    ],
    [
      'root for everybody, with a blank',
      file('/etc/sudoers.d/more', 'cloud ALL=(ALL) NOPASSWD : ALL\n'),
      ['A14'],
    ],
    [
      'another root',
      file('/etc/passwd', `${sound['/etc/passwd'] as string}toor:*:0:0::/root:/bin/bash\n`),
      ['F3'],
    ],
    [
      'another account without a password',
      file('/etc/passwd', `${sound['/etc/passwd'] as string}guest::1001:1001::/home/guest:/bin/bash\n`),
      ['F3'],
    ],
    [
      'another account with the traditional password',
      {
        files: {
          '/etc/passwd': `${sound['/etc/passwd'] as string}guest:x:1001:1001::/home/guest:/bin/bash\n`,
          '/etc/shadow': `root:*:1::\ncloud:*:1::\nguest:${ofPassword}:1::\n`,
        },
      },
      ['F3'],
    ],
    [
      'a key of another account',
      {
        files: {
          '/etc/passwd': `${sound['/etc/passwd'] as string}guest:*:1001:1001::/home/guest:/bin/bash\n`,
          '/home/guest/.ssh/authorized_keys': 'ssh-rsa AAAA guest',
        },
      },
      ['F6'],
    ],
    ['sudo that asks nobody', file('/etc/sudoers.d/more', 'Defaults:cloud ! authenticate\n'), ['A14']],
    ['sudo that asks not all', file('/etc/sudoers.d/more', 'Defaults exempt_group=admin\n'), ['A14']],
    ['rules of sudo elsewhere', file('/etc/sudoers.d/more', '@include /opt/rules\n'), ['A14']],
    ['a key of the account', file('/home/cloud/.ssh/authorized_keys', 'ssh-rsa AAAA me'), ['F4']],
    ['a program that no package has brought', file('/usr/bin/vhd-util', 'elf'), ['F5']],
    [
      "a developer's key",
      file('/root/.ssh/authorized_keys', '# none\nssh-rsa AAAA dev@example.org\n'),
      ['F6'],
    ],
    ['a module that is not there', file('/etc/modules-load.d/b.conf', 'nf_conntrack_ipv4\n'), ['G7']],
    ['a time zone that is not there', link('/etc/localtime', '/usr/share/zoneinfo/US/Eastern'), ['G14']],
    ['a list in place of a time zone', link('/etc/localtime', '/usr/share/zoneinfo/tzdata.zi'), ['G14']],
    ['a locale that is not there', file('/etc/default/locale', 'LANG=xx_YY.UTF-8\n'), ['G14']],
    ['a name server', file('/etc/resolv.conf', 'nameserver 8.8.8.8\n'), ['G9']],
    [
      'swap that a boot waits for',
      file('/etc/fstab', 'UUID=6 / ext4 defaults 0 1\nUUID=5 none swap sw 0 0\n'),
      ['G10'],
    ],
    ['an emergency shell', without('/etc/systemd/system/emergency.target'), ['G10']],
    [
      'a damaged root that waits for somebody',
      file('/boot/grub/grub.cfg', grub(0, kernelLine.replace('fsck.repair=yes', ''))),
      ['G11'],
    ],
    [
      'a shell in the initramfs',
      file('/boot/grub/grub.cfg', grub(0, kernelLine.replace('panic=10', 'panic=0'))),
      ['G11'],
    ],
    ['no firewall of a role', without('/etc/iptables/iptables-elbvm'), ['D8']],
  ])('fails by one check with %s', async (_case, change, ids) => {
    expect(await failures(change)).toEqual(ids)
  })

  it('may have a program of no package that the pipeline has named with its checksum', async () => {
    const checksum = { algorithm: 'sha256', hex: createHash('sha256').update('elf').digest('hex') } as const
    const expected = {
      downloads: [{ location: 'https://example.org/vhd-util', isUrl: true, checksum }],
    }
    expect(await failures({ ...file('/usr/bin/vhd-util', 'elf'), expected })).toEqual([])
    expect(await failures({ ...file('/usr/bin/vhd-util', 'changed'), expected })).toEqual(['F5'])
    expect(await failures({ ...file('/usr/bin/other', 'other'), expected })).toEqual(['F5'])
  })

  it('may have a key file without a key, and a comment in authorized_keys', async () => {
    const files = { '/root/.ssh/authorized_keys': '# by CloudStack\n\n', '/root/.ssh/id_rsa': '' }
    expect(await failures({ files })).toEqual([])
  })
})
