import { describe, expect, it } from 'vitest'
import type { ChangedFile, DiskDifference } from '../../../src/diff/compare.ts'
import { setAsideExpected } from '../../../src/diff/installers.ts'
import { installerOf } from '../../../src/diff/sources.ts'
import type { DiskFile, DiskFiles, DiskPartition } from '../../../src/disk/disk-files.ts'

const file = (path: string) => ({ path }) as DiskFile
const partition = (fields: Partial<DiskPartition>) =>
  ({
    number: 5,
    startSector: 2048,
    sectors: 1_000_000,
    type: '82',
    filesystem: 'swap',
    isBootable: false,
    mountPoint: undefined,
    uuid: 'a',
    ...fields,
  }) as DiskPartition

const nothing: DiskDifference = {
  added: [],
  removed: [],
  changed: [],
  packages: { added: [], removed: [], upgraded: [] },
  partitions: [],
  unread: [],
}

/** A disk whose dpkg lists the files of some packages. */
function disk(lists: Readonly<Record<string, readonly string[]>>, status = '', group = ''): DiskFiles {
  const contents = new Map(
    Object.entries(lists).map(([name, paths]) => [
      `/var/lib/dpkg/info/${name}.list`,
      Buffer.from(`${paths.join('\n')}\n`),
    ]),
  )
  return {
    read: async (path: string) =>
      Buffer.from({ '/var/lib/dpkg/status': status, '/etc/group': group }[path] ?? ''),
    list: async () => new Map([...contents.keys()].map((path) => [path, file(path)])),
    readMany: async (paths: Iterable<string>) =>
      new Map([...paths].map((path) => [path, contents.get(path) as Buffer])),
  } as unknown as DiskFiles
}

const setAside = async (difference: Partial<DiskDifference>, disks: readonly DiskFiles[] = []) => {
  const whole = { ...nothing, ...difference }
  const sizes = { beforeBytes: 0, afterBytes: 0, folders: [] }
  const paths = [...whole.added, ...whole.removed, ...whole.changed].map(({ path }) => path)
  const contents = new Map(paths.map((path) => [path, { kind: 'lines' as const, lines: [] }]))
  const { report, expected } = await setAsideExpected({ difference: whole, contents, sizes }, disks)
  return { left: report, expected: expected.map(({ name, count }) => [name, count]) }
}

describe('what is expected of two installers', () => {
  it('is left out, and counted by its name', async () => {
    const { left, expected } = await setAside({
      added: [file('/var/log/installer/syslog'), file('/boot/grub/grub.cfg'), file('/opt/odd')],
      removed: [file('/etc/ssh/sshd_config')],
    })
    expect(left.difference.added.map(({ path }) => path)).toEqual(['/opt/odd'])
    expect(left.difference.removed.map(({ path }) => path)).toEqual(['/etc/ssh/sshd_config'])
    expect([...left.contents.keys()].sort()).toEqual(['/etc/ssh/sshd_config', '/opt/odd'])
    expect(expected).toEqual([
      ['boot loader', 1],
      ["the installer's own", 1],
    ])
  })

  it('is a package that the installer adds, with the files that it owns and no others', async () => {
    const { left, expected } = await setAside(
      {
        added: [file('/usr/sbin/laptop-detect'), file('/usr/sbin/odd'), file('/usr/bin/nano')],
        packages: {
          added: [
            { name: 'laptop-detect', version: '1' },
            { name: 'nano', version: '1' },
          ],
          removed: [],
          upgraded: [],
        },
      },
      [disk({}), disk({ 'laptop-detect': ['/sbin/laptop-detect'], 'nano:amd64': ['/bin/nano'] })],
    )
    expect(left.difference.added.map(({ path }) => path)).toEqual(['/usr/sbin/odd', '/usr/bin/nano'])
    expect(left.difference.packages.added.map(({ name }) => name)).toEqual(['nano'])
    expect(expected).toEqual([["the installer's own", 2]])
  })

  it('is what is required, with what that needs and the links that lead to it', async () => {
    const stanza = (name: string, priority: string, depends: string) =>
      `Package: ${name}\nStatus: install ok installed\nPriority: ${priority}\nVersion: 1\nDepends: ${depends}\n`
    const status = [
      stanza('iputils-ping', 'required', 'libidn2-0 (>= 2) | libidn1'),
      stanza('nano', 'important', 'libc6'),
      stanza('libidn2-0', 'optional', 'libunistring5'),
      stanza('libunistring5', 'optional', 'libc6'),
      stanza('odd', 'optional', 'libc6'),
    ]
    const lists = { 'iputils-ping': ['/usr/bin/ping'], odd: ['/usr/bin/odd'] }
    const names = ['iputils-ping', 'libidn2-0', 'libunistring5', 'nano', 'odd']
    const { left, expected } = await setAside(
      {
        added: [
          { ...file('/etc/alternatives/ping'), target: '../../usr/bin/ping' } as DiskFile,
          { ...file('/etc/alternatives/odd'), target: '/usr/bin/odd' } as DiskFile,
        ],
        packages: { added: names.map((name) => ({ name, version: '1' })), removed: [], upgraded: [] },
      },
      [disk({}), disk(lists, status.join('\n'))],
    )
    expect(left.difference.packages.added.map(({ name }) => name)).toEqual(['nano', 'odd'])
    expect(left.difference.added.map(({ path }) => path)).toEqual(['/etc/alternatives/odd'])
    expect(expected).toEqual([['required packages', 4]])
  })

  it('is a newer version, with its files, and a kernel that is another package in each', async () => {
    const { left, expected } = await setAside(
      {
        changed: ['/usr/bin/apt', '/usr/bin/odd'].map(
          (path) => ({ path, after: file(path), aspects: ['content'] }) as unknown as ChangedFile,
        ),
        removed: [file('/usr/lib/modules/6.12.1-cloud/modules.dep'), file('/boot/vmlinuz-6.12.1')],
        packages: {
          added: [],
          removed: [{ name: 'linux-image-6.12.1-cloud', version: '1' }],
          upgraded: [{ name: 'apt', from: '1', to: '2' }],
        },
      },
      [disk({ apt: ['/usr/bin/apt'], 'linux-image-6.12.1-cloud': ['/boot/vmlinuz-6.12.1'] }), disk({})],
    )
    expect(left.difference.changed.map(({ path }) => path)).toEqual(['/usr/bin/odd'])
    expect(left.difference.removed).toEqual([])
    expect(left.difference.packages).toEqual({ added: [], removed: [], upgraded: [] })
    expect(expected).toEqual([['updates', 5]])
  })

  it('is another number of an owner, and not another owner', async () => {
    const owned = (path: string, before: number, after: number, aspects = ['owner']) =>
      ({
        path,
        before: { uid: 0, gid: before },
        after: { uid: 0, gid: after },
        aspects,
      }) as unknown as ChangedFile
    const { left, expected } = await setAside(
      {
        changed: [
          owned('/usr/bin/crontab', 997, 992),
          owned('/usr/bin/wall', 997, 997),
          owned('/usr/bin/odd', 5, 6),
          owned('/usr/bin/open', 997, 992, ['mode', 'owner']),
        ],
      },
      [disk({}, '', 'crontab:x:997:\n'), disk({}, '', 'tty:x:997:\ncrontab:x:992:\n')],
    )
    expect(left.difference.changed.map(({ path }) => path)).toEqual([
      '/usr/bin/wall',
      '/usr/bin/odd',
      '/usr/bin/open',
    ])
    expect(expected).toEqual([['accounts', 1]])
  })

  it('is a partition that was rounded or has another UUID, and none that is another', async () => {
    const before = partition({})
    const { left, expected } = await setAside({
      partitions: [
        { number: 5, before, after: partition({ uuid: 'b', sectors: 1_002_000 }) },
        { number: 2, before: partition({ type: '5' }), after: partition({ type: 'f', startSector: 2046 }) },
        { number: 6, before, after: partition({ filesystem: 'ext4' }) },
        { number: 7, before, after: partition({ sectors: 2_000_000 }) },
        { number: 8, before, after: undefined },
      ],
    })
    expect(left.difference.partitions.map(({ number }) => number)).toEqual([6, 7, 8])
    expect(expected).toEqual([['partitions', 2]])
  })
})

describe('a word', () => {
  it('names an installer after a colon', () => {
    expect(installerOf('base:bootstrap')).toBe('bootstrap')
    expect(installerOf('base:debian-installer')).toBe('debian-installer')
    for (const word of ['base', 'base:', 'base:other', 'bootstrap']) expect(installerOf(word)).toBeUndefined()
  })
})
