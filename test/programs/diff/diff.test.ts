import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import picocolors from 'picocolors'
import { expect, it } from 'vitest'
import { renderDiff } from '../../../src/cli/views/diff.ts'
import { compareDisks, type DiskDifference, isEqual } from '../../../src/diff/compare.ts'
import { type DiffReport, reportDifference } from '../../../src/diff/report.ts'
import { type DiskFiles, openDisk } from '../../../src/disk/disk-files.ts'
import { formatByEnding } from '../../../src/disk/disk-format.ts'
import {
  changeFilesystem,
  makeFilesystem,
  makeDisk as makeTabledDisk,
  makeTree,
  type Tree,
} from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const hash = '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7'
const paragraph = (name: string, version: string) =>
  `Package: ${name}\nStatus: install ok installed\nArchitecture: all\nVersion: ${version}\n`
const status = (...packages: readonly string[]) => packages.join('\n')

const old: Tree = {
  'etc/hosts': '127.0.0.1 localhost\n::1 ip6\nlast\n',
  'etc/shadow': `root:*:1::::::\ncloud:${hash}:1::::::\n`,
  'etc/ssl/key.pem': '-----BEGIN PRIVATE KEY-----\nb2xk\n-----END PRIVATE KEY-----\n',
  'etc/same': 'same\n',
  'etc/gone': 'was here\n',
  'etc/table.db': Buffer.from([0, 1, 2, 3]),
  'etc/becomes-link': 'a file\n',
  'etc/link': ['hosts'],
  'usr/bin/program': 'AAAA',
  'usr/bin/tool': 'tool',
  'usr/lib/systemd/system/a.service': '[Service]\nExecStart=/bin/a\n',
  'usr/share/doc/one': 'x'.repeat(2000),
  'usr/share/doc/two': 'x',
  'var/lib/dpkg/status': status(paragraph('kept', '1'), paragraph('left', '2'), paragraph('newer', '1:3')),
}

const { 'etc/gone': _gone, 'usr/share/doc/one': _one, ...kept } = old
const now: Tree = {
  ...kept,
  'etc/hosts': '127.0.0.1 localhost\n::1 ip6 changed\nlast\n',
  'etc/shadow': `root:*:1::::::\ncloud:${hash.replace('X3DX', 'Y3DX')}:1::::::\n`,
  'etc/ssl/key.pem': '-----BEGIN PRIVATE KEY-----\nbmV3\n-----END PRIVATE KEY-----\n',
  'etc/table.db': Buffer.from([0, 1, 2, 4]),
  'etc/becomes-link': ['hosts'],
  'etc/link': ['same'],
  'etc/new': 'one\ntwo\n',
  'etc/systemd/system/multi-user.target.wants/a.service': ['/usr/lib/systemd/system/a.service'],
  'usr/bin/program': 'AAAB',
  'usr/lib/systemd/system/a.service': '[Service]\nExecStart=/bin/b\n',
  'usr/share/new': null,
  'var/lib/dpkg/status': status(paragraph('kept', '1'), paragraph('newer', '1:4'), paragraph('added', '5')),
}

/** Makes a disk of a tree, and changes it by requests to debugfs. */
function makeDisk(name: string, tree: Tree, requests: readonly string[] = []): string {
  makeFilesystem(path(name), {
    type: 'ext4',
    sizeMiB: 8,
    from: makeTree(path(`${name}-tree`), tree),
    uuid: '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f',
  })
  if (requests.length > 0) changeFilesystem(path(name), requests)
  return path(name)
}

/** Opens two disks for the time of an action. */
async function between<Result>(
  files: readonly [string, string],
  action: (before: DiskFiles, after: DiskFiles) => Promise<Result>,
): Promise<Result> {
  mkdirSync(path('work'), { recursive: true })
  const { signal } = new AbortController()
  const options = (file: string) => ({
    format: formatByEnding(file) ?? ('raw' as const),
    workFolder: path('work'),
    signal,
  })
  const [before, after] = await Promise.all(files.map((file) => openDisk(file, options(file))))
  try {
    return await action(before as DiskFiles, after as DiskFiles)
  } finally {
    await before?.close()
    await after?.close()
    expect(readdirSync(path('work'))).toEqual([])
  }
}

/** A difference in short: paths, and in what those that changed differ. */
function shorten({ added, removed, changed, packages }: DiskDifference) {
  return {
    added: added.map((file) => file.path),
    removed: removed.map((file) => file.path),
    changed: Object.fromEntries(changed.map((file) => [file.path, file.aspects.join(' ')])),
    packages,
  }
}

const noPackages = { added: [], removed: [], upgraded: [] }

describeWith(['qemu-img', 'sfdisk', 'blkid', 'mke2fs', 'debugfs'], 'the difference of two disks', () => {
  it('has all that was added, removed and changed, and in what, also what has the same size and time', async () => {
    const files = [makeDisk('old', old), makeDisk('new', now)] as const
    expect(shorten(await between(files, compareDisks))).toEqual({
      added: [
        '/etc/new',
        '/etc/systemd',
        '/etc/systemd/system',
        '/etc/systemd/system/multi-user.target.wants',
        '/etc/systemd/system/multi-user.target.wants/a.service',
        '/usr/share/new',
      ],
      removed: ['/etc/gone', '/usr/share/doc/one'],
      changed: {
        '/etc/becomes-link': 'type',
        '/etc/hosts': 'content',
        '/etc/link': 'target',
        '/etc/shadow': 'content',
        '/etc/ssl/key.pem': 'content',
        '/etc/table.db': 'content',
        '/usr/bin/program': 'content',
        '/usr/lib/systemd/system/a.service': 'content',
        '/var/lib/dpkg/status': 'content',
      },
      packages: {
        added: [{ name: 'added', version: '5' }],
        removed: [{ name: 'left', version: '2' }],
        upgraded: [{ name: 'newer', from: '1:3', to: '1:4' }],
      },
    })
  })

  it('has modes, owners, attributes and devices, of folders and links too', async () => {
    writeFileSync(path('value'), 'long'.repeat(20))
    const device = ['cd /usr/share', 'mknod null c 1 3', 'cd /']
    const changes = [
      'set_inode_field /usr/bin/tool mode 0104755',
      'set_inode_field /etc uid 1000',
      'set_inode_field /etc/link gid 1000',
      'ea_set /usr/bin/program user.same same',
      'ea_set /usr/lib/systemd user.note one',
      `ea_set -f ${path('value')} /usr/bin/tool user.long`,
    ]
    const files = [
      makeDisk('old', old, [
        ...device,
        'ea_set /usr/bin/program user.same same',
        'ea_set /usr/lib/systemd user.note two',
      ]),
      makeDisk('new', old, [...device.map((request) => request.replace('1 3', '1 5')), ...changes]),
    ] as const
    expect(shorten(await between(files, compareDisks))).toEqual({
      added: [],
      removed: [],
      changed: {
        '/etc': 'owner',
        '/etc/link': 'owner',
        '/usr/bin/tool': 'mode attributes',
        '/usr/lib/systemd': 'attributes',
        '/usr/share/null': 'device',
      },
      packages: noPackages,
    })
  })

  it('is nothing between files of other formats, and between disks whose files lie elsewhere and are older', async () => {
    makeDisk('old', old)
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', path('old'), path('old.qcow2')])
    execFileSync('qemu-img', [
      'convert',
      '-f',
      'raw',
      '-O',
      'vpc',
      '-o',
      'force_size',
      path('old'),
      path('old.vhd'),
    ])
    const scattered = makeDisk('scattered', Object.fromEntries(Object.entries(old).reverse()), [
      'set_inode_field /etc/hosts mtime @1600000000',
    ])
    for (const other of [path('old.vhd'), scattered]) {
      const difference = await between([path('old.qcow2'), other], compareDisks)
      expect(shorten(difference)).toEqual({ added: [], removed: [], changed: {}, packages: noPackages })
      expect(isEqual(difference)).toBe(true)
    }
  })

  it('says which filesystems it has not read, also where nothing differs', async () => {
    const fstab = 'LABEL=root / ext4 defaults 0 1\n'
    const root = makeTree(path('tree'), { 'etc/fstab': fstab })
    makeFilesystem(path('p1'), { type: 'ext4', sizeMiB: 8, from: root, label: 'root' })
    makeFilesystem(path('p2'), { type: 'ext4', sizeMiB: 4 })
    const table = 'label: gpt\nstart=2048, size=16384\nstart=18432, size=8192\n'
    makeTabledDisk(path('disk'), 16, table, { 2048: path('p1'), 18432: path('p2') })
    const report = await between([path('disk'), path('disk')], (before, after) =>
      reportDifference(before, after, []),
    )
    expect(report.difference.unread).toEqual([{ number: 2, filesystem: 'ext4', mountPoint: undefined }])
    const text = renderDiff(report, { colors: picocolors.createColors(false), isFull: false })
    expect(text).toBe('no difference\n\nNot read, and not compared\n  partition 2: ext4, mounted nowhere\n')
  })

  it('has the partitions', async () => {
    makeDisk('old', old)
    makeFilesystem(path('new'), { type: 'ext4', sizeMiB: 12, from: path('old-tree'), words: ['-m', '3'] })
    const { partitions } = await between([path('old'), path('new')], compareDisks)
    expect(partitions).toMatchObject([{ number: 0, before: { sectors: 16_384 }, after: { sectors: 24_576 } }])
  })
})

describeWith(['qemu-img', 'sfdisk', 'blkid', 'mke2fs', 'debugfs'], 'the difference as people see it', () => {
  const render = async (paths: readonly string[] = [], isFull = false) => {
    const files = [
      makeDisk('old', old),
      makeDisk('new', now, ['set_inode_field /usr/bin/tool mode 0104755', 'set_inode_field /etc/same uid 7']),
    ] as const
    const report = await between(files, (before, after) => reportDifference(before, after, paths))
    return renderDiff(report, { colors: picocolors.createColors(false), isFull })
  }

  it('shows packages, configuration by its lines, and everything else by name', async () => {
    const text = await render()
    expect(text).toContain(
      'Packages: 1 added, 1 removed, 1 upgraded\n  + added 5\n  - left 2\n  ~ newer 1:3 → 1:4\n',
    )
    expect(text).toContain('-::1 ip6\n')
    expect(text).toContain('+::1 ip6 changed\n')
    expect(text).toContain('-ExecStart=/bin/a\n')
    expect(text).toMatch(/added \/etc\/new 0644 \d+:\d+ 8 B\n.*\n +\+one\n +\+two\n/)
    expect(text).toContain('removed /etc/gone')
    expect(text).toContain(
      'added /etc/systemd/system/multi-user.target.wants/a.service → /usr/lib/systemd/system/a.service\n',
    )
    expect(text).toMatch(
      /changed \/etc\/table\.db\n +binary: 4 bytes, sha256 054edec1d021 → 4 bytes, sha256 \w{12}\n/,
    )
    expect(text).toMatch(/\/usr\/bin\/tool +mode 0644 → 4755\n/)
    expect(text).toMatch(/\/etc\/same +owner \d+:\d+ → 7:\d+\n/)
    expect(text).toMatch(/\/etc\/link +to hosts → same\n/)
    expect(text).toMatch(/\/etc\/becomes-link +file → link to hosts\n/)
    expect(text).toContain(
      'Other files: 1 added, 1 removed, 2 changed\n  + /usr/share/new/\n  - /usr/share/doc/one\n  ~ /usr/bin/program\n',
    )
    expect(text).toMatch(/\/usr\/share\/doc +2\.0 KiB +→ +1 B +-2\.0 KiB\n/)
    expect(text).not.toContain('/etc/same\n')
  })

  it('shows that secrets changed, and none of them', async () => {
    const text = await render()
    expect(text).toMatch(/-cloud:<secret \w{8}>:1:/)
    expect(text).toMatch(/\+cloud:<secret \w{8}>:1:/)
    expect(text).toMatch(/-<secret \w{8}>\n +\+<secret \w{8}>\n/)
    expect(text).not.toMatch(/9agCG|b2xk|bmV3/)
  })

  it('is narrowed to folders, and shows contents there that it does not show elsewhere', async () => {
    const text = await render(['/usr/bin', '/usr/share/doc/two'])
    expect(text).toContain('-AAAA\n')
    expect(text).toContain('+AAAB\n')
    expect(text).not.toMatch(/Packages|\/etc|doc\/one/)
    await expect(render(['/no/such'])).rejects.toMatchObject({ code: 'no-path' })
  })

  it('follows a link to the folder that is meant', async () => {
    const linked: Tree = { ...old, lib: ['usr/lib'] }
    const files = [makeDisk('old', linked), makeDisk('new', { ...linked, 'usr/lib/systemd/x': 'x' })] as const
    const { difference } = await between(files, (before, after) => reportDifference(before, after, ['/lib']))
    expect(difference.added.map((file) => file.path)).toEqual(['/usr/lib/systemd/x'])
  })

  it('leaves out most of what is long, and says so', async () => {
    const long = Array.from({ length: 200 }, (_, line) => `line ${line}\n`).join('')
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, file) => [`usr/share/many/${file}`, 'x']))
    const files = [makeDisk('old', old), makeDisk('new', { ...old, 'etc/long': long, ...many })] as const
    const report = await between(files, (before, after) => reportDifference(before, after, []))
    const colors = picocolors.createColors(false)
    const short = renderDiff(report, { colors, isFull: false })
    expect(short).toContain('+line 30\n')
    expect(short).not.toContain('+line 150\n')
    expect(short).toContain('more; --full shows all')
    expect(short).toMatch(/\/usr\/share +100\n/)
    const full = renderDiff(report, { colors, isFull: true })
    expect(full).toContain('+line 199\n')
    expect(full).toContain('+ /usr/share/many/99\n')
    expect(full).not.toContain('--full')
  })

  it('never lets a disk steer the terminal', async () => {
    const evil = { ...old, 'etc/\u001b[2Jname': '\u001b]0;title\u0007\n', 'usr/\u001b[31m\nname': 'x' }
    const files = [makeDisk('old', old), makeDisk('new', evil)] as const
    const report: DiffReport = await between(files, (before, after) => reportDifference(before, after, []))
    const text = renderDiff(report, { colors: picocolors.createColors(false), isFull: false })
    for (const character of ['\u001b', '\u0007']) expect(text).not.toContain(character)
    expect(text).toContain('/etc/\\x1b[2Jname')
    expect(text).toContain('/usr/\\x1b[31m\\x0aname')
  })
})
