import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Disk, Partition } from '../../../src/disk/layout.ts'
import { placePartitions, renderFstab, renderSfdisk, sectorBytes } from '../../../src/disk/layout.ts'
import { useFolder } from '../../support/folder.ts'
import { pathOfTools } from '../../support/path-of-tools.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

function partition(over: Partial<Partition>): Partition {
  return { filesystem: 'ext4', grow: false, primary: false, bootable: false, reservedPercent: 0, ...over }
}

const boot = partition({
  mount: '/boot',
  filesystem: 'ext2',
  sizeMiB: 400,
  primary: true,
  bootable: true,
})
const swap = partition({ filesystem: 'swap', sizeMiB: 512 })
const root = partition({ mount: '/', grow: true })
const esp = partition({ mount: '/boot/efi', filesystem: 'vfat', sizeMiB: 64, primary: true })

/** Disks that a pipeline may ask for. */
const disks: readonly (readonly [string, Disk])[] = [
  ['the system VM', { sizeMiB: 5040, partitions: [boot, swap, root] }],
  ['one for BIOS and UEFI', { sizeMiB: 5040, partitions: [boot, esp, swap, root] }],
  ['one primary partition', { sizeMiB: 1260, partitions: [{ ...root, primary: true, bootable: true }] }],
  ['one logical partition', { sizeMiB: 1260, partitions: [root] }],
  [
    'four primary partitions',
    {
      sizeMiB: 2520,
      partitions: [
        boot,
        partition({ mount: '/srv', sizeMiB: 100, primary: true }),
        { ...swap, primary: true },
        { ...root, primary: true },
      ],
    },
  ],
  [
    'many logical partitions',
    {
      sizeMiB: 5040,
      partitions: [
        boot,
        swap,
        partition({ mount: '/var/log', sizeMiB: 300 }),
        partition({ mount: '/var', sizeMiB: 300 }),
        root,
      ],
    },
  ],
]

interface SfdiskTable {
  readonly label: string
  readonly id: string
  readonly partitions: readonly {
    readonly node: string
    readonly start: number
    readonly size: number
    readonly type: string
    readonly bootable?: boolean
  }[]
}

describeWith(['sfdisk'], 'the partition table, judged by sfdisk', () => {
  const env = { PATH: pathOfTools, LC_ALL: 'C' }

  const write = (disk: Disk): SfdiskTable => {
    const layout = placePartitions(disk, 'a layer')
    writeFileSync(path('disk'), '')
    truncateSync(path('disk'), layout.sizeBytes)
    execFileSync('sfdisk', ['--quiet', path('disk')], { input: renderSfdisk(layout), env })
    const json = execFileSync('sfdisk', ['--json', path('disk')], { encoding: 'utf8', env })
    return (JSON.parse(json) as { partitiontable: SfdiskTable }).partitiontable
  }

  it.each(disks)('%s: has every partition where the layout says', (_case, disk) => {
    const layout = placePartitions(disk, 'a layer')
    const table = write(disk)
    expect(table.label).toBe('dos')
    expect(table.id).toBe(`0x${layout.diskId}`)
    const found = new Map(table.partitions.map((entry) => [entry.node, entry]))
    for (const placed of layout.partitions) {
      expect(found.get(path(`disk${placed.number}`))).toMatchObject({
        start: placed.startSector,
        size: placed.sectors,
        type: { swap: '82', vfat: 'ef', ext2: '83', ext4: '83' }[placed.filesystem],
      })
      expect(found.get(path(`disk${placed.number}`))?.bootable ?? false).toBe(placed.bootable)
    }
    expect(found.size).toBe(layout.partitions.length + (layout.extended === undefined ? 0 : 1))
  })

  it.each(disks)(
    '%s: overlaps nowhere, begins at whole MiB and reaches the end of the disk',
    (_case, disk) => {
      const entries = write(disk)
        .partitions.filter(({ type }) => type !== '5')
        .map(({ start, size }) => ({ start, end: start + size }))
        .sort((a, b) => a.start - b.start)
      entries.forEach((entry, index) => {
        expect(entry.start % 2048).toBe(0)
        expect(entry.start).toBeGreaterThanOrEqual(entries[index - 1]?.end ?? 2048)
      })
      expect((entries.at(-1)?.end ?? 0) * sectorBytes).toBe(disk.sizeMiB * 1024 * 1024)
    },
  )

  it('has the numbers that CloudStack grows, and what a UEFI starts between them', () => {
    const entries = write(disks[1]?.[1] as Disk).partitions
    const inOrder = [...entries].sort((a, b) => a.start - b.start)
    const numberOf = ({ node }: { readonly node: string }) => Number(node.slice(path('disk').length))
    expect(inOrder.map((entry) => [numberOf(entry), entry.type])).toEqual([
      [1, '83'],
      [3, 'ef'],
      [2, '5'],
      [5, '82'],
      [6, '83'],
    ])
  })

  it('is found sound by sfdisk --verify', () => {
    write(disks[0]?.[1] as Disk)
    const text = execFileSync('sfdisk', ['--verify', path('disk')], { encoding: 'utf8', env })
    expect(text).toContain('No errors detected')
  })
})

describeWith(['sfdisk'], 'a GPT, judged by sfdisk', () => {
  const env = { PATH: pathOfTools, LC_ALL: 'C' }
  const disk: Disk = {
    table: 'gpt',
    sizeMiB: 5040,
    partitions: [esp, { ...boot, bootable: false }, swap, root],
  }
  const layout = placePartitions(disk, 'a layer')
  const write = () => {
    writeFileSync(path('disk'), '')
    truncateSync(path('disk'), layout.sizeBytes)
    execFileSync('sfdisk', ['--quiet', path('disk')], { input: renderSfdisk(layout), env })
    const json = execFileSync('sfdisk', ['--json', path('disk')], { encoding: 'utf8', env })
    return (JSON.parse(json) as { partitiontable: SfdiskTable }).partitiontable
  }

  /** The first MiB has the table, the last one its copy. */
  const mebibyte = 1024 ** 2
  const tableAt = (position: number): Buffer => {
    const bytes = Buffer.alloc(mebibyte)
    const file = openSync(path('disk'), 'r')
    readSync(file, bytes, 0, mebibyte, position)
    closeSync(file)
    return bytes
  }

  it('has the EFI system partition first, and the numbers that a first boot grows', () => {
    const table = write()
    expect(table.label).toBe('gpt')
    expect(table.id.toLowerCase()).toBe(layout.diskId)
    const found = table.partitions.map(({ node, start, size, type, ...rest }) => ({
      number: Number(/\d+$/.exec(node)?.[0]),
      startSector: start,
      sectors: size,
      type: type.slice(0, 8).toLowerCase(),
      isAutomatic: !('attrs' in rest),
    }))
    const types = { vfat: 'c12a7328', swap: '0657fd6d', ext2: '0fc63daf', ext4: '0fc63daf' }
    expect(found).toEqual(
      layout.partitions.map(({ number, startSector, sectors, filesystem }) => ({
        number,
        startSector,
        sectors,
        type: types[filesystem],
        isAutomatic: filesystem !== 'swap',
      })),
    )
    expect(found.map(({ number }) => number)).toEqual([1, 2, 5, 6])
  })

  it('is found sound by sfdisk --verify, and is the same bytes again', () => {
    write()
    const text = execFileSync('sfdisk', ['--verify', path('disk')], { encoding: 'utf8', env })
    expect(text).toContain('No errors detected')
    const [first, last] = [tableAt(0), tableAt(layout.sizeBytes - mebibyte)]
    write()
    expect(tableAt(0).equals(first)).toBe(true)
    expect(tableAt(layout.sizeBytes - mebibyte).equals(last)).toBe(true)
    expect(first.equals(Buffer.alloc(mebibyte))).toBe(false)
    expect(last.equals(Buffer.alloc(mebibyte))).toBe(false)
  })

  it('has an fstab that names the FAT by its serial number, and lets a boot go on without it', () => {
    expect(renderFstab(layout)).toMatch(
      /^UUID=[0-9A-F]{4}-[0-9A-F]{4} \/boot\/efi vfat umask=0077,nofail,\S+ 0 0$/m,
    )
  })
})

describe('the identity of a disk', () => {
  const [, disk] = disks[0] as (typeof disks)[number]

  it('follows from the layer alone', () => {
    expect(placePartitions(disk, 'a')).toEqual(placePartitions(disk, 'a'))
  })

  it('differs from that of another layer, and between partitions', () => {
    const [a, b] = [placePartitions(disk, 'a'), placePartitions(disk, 'b')]
    const uuids = [...a.partitions, ...b.partitions].map(({ uuid }) => uuid)
    expect(new Set(uuids).size).toBe(uuids.length)
    expect(a.diskId).toMatch(/^[0-9a-f]{8}$/)
    expect(a.diskId).not.toBe(b.diskId)
  })
})

describe('fstab', () => {
  it('mounts a folder before what lies below it, names all by UUID, and checks the root first', () => {
    const layout = placePartitions(disks[5]?.[1] as Disk, 'a')
    const rows = renderFstab(layout)
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split(' '))
    expect(rows.map(([, mount]) => mount)).toEqual(['/', '/var', '/boot', '/var/log', 'none'])
    for (const row of rows) expect(row).toHaveLength(6)
    const byMount = new Map(rows.map((row) => [row[1], row]))
    for (const { mount, uuid } of layout.partitions) {
      expect(byMount.get(mount ?? 'none')?.[0]).toBe(`UUID=${uuid}`)
    }
    expect(byMount.get('/')?.slice(2)).toEqual(['ext4', 'errors=remount-ro', '0', '1'])
    expect(byMount.get('/var')?.slice(2)).toEqual(['ext4', 'defaults', '0', '2'])
  })

  it('waits not at all for /boot, for swap not long, and for all others', () => {
    const late = 'nofail,x-systemd.device-timeout='
    const text = renderFstab(placePartitions(disks[5]?.[1] as Disk, 'a'))
    expect(text).toMatch(new RegExp(`^UUID=\\S+ /boot ext2 defaults,${late}5min 0 2$`, 'm'))
    expect(text).toMatch(new RegExp(`^UUID=\\S+ none swap sw,${late}30s 0 0$`, 'm'))
    expect(text.match(/nofail/g)).toHaveLength(2)
  })

  it("has swap in a line that CloudStack's scripts find when they switch it off", () => {
    // Kubernetes nodes and shared file systems have no swap: a # is put before the lines with this in them.
    expect(renderFstab(placePartitions(disks[5]?.[1] as Disk, 'a')).match(/ swap /g)).toHaveLength(1)
  })
})
