import { describe, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import type { DiskFiles, DiskPartition } from '../../../src/disk/disk-files.ts'
import type { Disk } from '../../../src/disk/layout.ts'
import { unknownAnswers } from '../../../src/installers/debian-installer/installed-disk.ts'
import { examineImage } from '../../../src/installers/disk-image/examine.ts'
import { readLayout } from '../../../src/installers/found-layout.ts'

const rest = { grow: false, primary: false, bootable: false, reservedPercent: 0 }
const disk: Disk = {
  sizeMiB: 1260,
  partitions: [
    { ...rest, mount: '/boot', filesystem: 'ext2', sizeMiB: 160, primary: true, bootable: true },
    { ...rest, filesystem: 'swap', sizeMiB: 32 },
    { ...rest, mount: '/', filesystem: 'ext4', grow: true },
  ],
}

const found = (fields: Partial<DiskPartition>): DiskPartition => ({
  number: 1,
  startSector: 2048,
  sectors: 2048,
  type: '83',
  isBootable: false,
  partitionUuid: '0badcafe-01',
  partitionLabel: undefined,
  filesystem: 'ext4',
  uuid: undefined,
  label: undefined,
  mountPoint: undefined,
  superblock: undefined,
  ...fields,
})

/** As partman leaves it: its sizes are millions of bytes, rounded to its own MiB. */
const partitions = [
  found({
    number: 1,
    sectors: 327_680,
    filesystem: 'ext2',
    uuid: 'boot',
    mountPoint: '/boot',
    isBootable: true,
  }),
  found({ number: 2, startSector: 331_774, sectors: 2_246_658, type: '5', filesystem: undefined }),
  found({ number: 5, startSector: 331_776, sectors: 65_536, type: '82', filesystem: 'swap', uuid: 'swap' }),
  found({ number: 6, startSector: 399_360, sectors: 2_179_072, uuid: 'root', mountPoint: '/' }),
]
const sizeBytes = 1260 * 1024 * 1024

describe('the layout of an installed disk', () => {
  it('is where the installer has put the partitions', () => {
    const { layout, differences } = readLayout(disk, { table: 'dos', sizeBytes, partitions })
    expect(differences).toEqual([])
    expect(layout).toMatchObject({ sizeBytes, diskId: '0badcafe', extended: { number: 2 } })
    expect(layout.partitions.map(({ number, mount, uuid }) => [number, mount, uuid])).toEqual([
      [1, '/boot', 'boot'],
      [5, undefined, 'swap'],
      [6, '/', 'root'],
    ])
  })

  it('differs from what was asked for in ways that are all named', () => {
    const stock = [
      found({ number: 1, sectors: 2_000_000, uuid: 'root', mountPoint: '/' }),
      found({ number: 5, startSector: 2_100_000, sectors: 65_536, filesystem: 'swap', uuid: 'swap' }),
    ]
    expect(readLayout(disk, { table: 'dos', sizeBytes, partitions: stock }).differences).toEqual([
      'there are 2 partitions, not 3',
      'partition 1 has ext4, not ext2',
      'partition 1 has 976.6 MiB, not 160',
      'partition 1 is mounted at /, not /boot',
    ])
    expect(readLayout(disk, { table: 'gpt', sizeBytes, partitions }).differences).toEqual([
      'the partition table is gpt, not dos',
    ])
  })
})

describe('answers that nobody asked for', () => {
  const stanza = (name: string, template: string) =>
    `Name: ${name}\nTemplate: ${template}\nValue: x\nOwners: d-i\n`
  const text = [
    stanza('debian-installer/dummy', 'debian-installer/dummy'),
    stanza('debian-installer/locale', 'debian-installer/locale'),
    stanza('clock-setup/ntpp', 'debian-installer/dummy'),
    stanza('tasksel/first', 'debian-installer/dummy'),
    stanza('grub-pc/install_devices', 'debian-installer/dummy'),
  ].join('\n')

  it('are found by the template that they are filed under', () => {
    expect(unknownAnswers(text, new Set(['grub-pc/install_devices']))).toEqual(['clock-setup/ntpp'])
    expect(unknownAnswers('')).toEqual([])
  })
})

it('what a disk calls its places is one word of the command that makes the pipeline fit it', async () => {
  const mountPoint = "/x'; touch pwned; '"
  const other = partitions.map((one) => (one.number === 1 ? { ...one, mountPoint } : one))
  const given = { path: 'disk.raw', table: 'dos', sizeBytes, partitions: other } as unknown as DiskFiles
  const failure = await examineImage({ disk } as ResolvedImage, given).catch((error: unknown) => error)
  const { hint = '' } = failure as { readonly hint?: string }
  // As a shell reads it: what stands between two quotes, and each quote that is escaped.
  const [, word = '', rest] = /--set disk\.partitions=((?:'[^']*'|\\')+)(.*)$/s.exec(hint) ?? []
  expect(rest).toBe('')
  const read = word.replaceAll(/'([^']*)'|\\(')/g, (_, quoted = '', escaped = '') => quoted + escaped)
  expect(JSON.parse(read)[0]).toMatchObject({ mount: mountPoint })
})
