import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { compressGrains } from '../../../src/formats/grains.ts'
import type { RawDisk } from '../../../src/formats/raw-disk.ts'
import { writeStreamOptimizedVmdk } from '../../../src/formats/vmdk.ts'
import { checkVmdk } from '../../../src/formats/vmdk-check.ts'
import { type HeaderField, headerFields, type VmdkOptions } from '../../../src/formats/vmdk-format.ts'
import { VmdkFault, type VmdkRule } from '../../../src/formats/vmdk-rules.ts'
import { makeRawDisk, noise, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const kib = 1024
const mib = 1024 * kib
const grain = 64 * kib
const options: VmdkOptions = { key: 'key', name: 'disk.vmdk', hardwareVersion: 13 }

/** Three grain tables of 32 MiB and a part of a fourth: data at the edges of the first two, none in the third. */
function sampleDisk(name = 'disk.raw'): RawDisk {
  mkdirSync(dirname(path(name)), { recursive: true })
  return makeRawDisk(path(name), 100 * mib, {
    0: words('start', 3 * grain),
    [32 * mib - grain]: words('edge', 2 * grain),
    [40 * mib]: noise(grain),
    [41 * mib + 512]: words('inside', kib),
    [100 * mib - 512]: words('end', 512),
  })
}

/** The short one, which follows from the key. */
const contentId = sha256('key').slice(24, 32)

/** Grains of the sample that are not zeros. */
const sampleGrains = 8

async function write(
  disk: RawDisk,
  name = 'disk.vmdk',
  over: Partial<VmdkOptions> = {},
  onProgress: (fraction: number) => void = () => undefined,
  signal = never,
  concurrency?: number,
) {
  const output = createWriteStream(path(name))
  const grains = compressGrains(disk, concurrency)
  try {
    return await writeStreamOptimizedVmdk(disk, output, { ...options, ...over }, onProgress, signal, grains)
  } finally {
    // A stream that is given up may still open its file.
    if (!output.closed) await once(output, 'close')
  }
}

/** Where things are in a file, found from its end: `[grain, sector]` by table, and the sectors of what leads there. */
function mapOf(file: Buffer) {
  const directory = Number(file.readBigUInt64LE(file.length - 1024 + 56))
  const tables = [0, 1, 2, 3].map((index) => file.readUInt32LE(directory * 512 + index * 4))
  const grains = tables.flatMap((table, index) =>
    Array.from({ length: table === 0 ? 0 : 512 }, (_, entry) => entry).flatMap((entry) => {
      const sector = file.readUInt32LE(table * 512 + entry * 4)
      return sector === 0 ? [] : [{ grain: index * 512 + entry, at: sector * 512 }]
    }),
  )
  return { directory: directory * 512, tables: tables.map((sector) => sector * 512), grains }
}

describe('a VMDK', () => {
  it('keeps every rule', async () => {
    const { sizeBytes, populatedBytes } = await write(sampleDisk())
    const facts = await checkVmdk(path('disk.vmdk'))
    expect(facts).toEqual({ capacityBytes: 100 * mib, grains: sampleGrains })
    expect(populatedBytes).toBe(sampleGrains * grain)
    expect(sizeBytes).toBe(statSync(path('disk.vmdk')).size)
  })

  it('has every grain in its table, and no table without a grain', async () => {
    await write(sampleDisk())
    const { tables, grains } = mapOf(readFileSync(path('disk.vmdk')))
    expect(tables.map((table) => table > 0)).toEqual([true, true, false, true])
    expect(grains.map((found) => found.grain)).toEqual([0, 1, 2, 511, 512, 640, 656, 1599])
    const places = grains.map(({ at }) => at)
    expect([...places].sort((a, b) => a - b)).toEqual(places)
  })

  it('says what it is in words, too', async () => {
    await write(sampleDisk())
    const text = readFileSync(path('disk.vmdk')).subarray(512, 21 * 512)
    expect(text.toString('utf8', 0, text.indexOf(0))).toMatchInlineSnapshot(`
      "# Disk DescriptorFile
      version=1
      CID=c7b38e73
      parentCID=ffffffff
      createType="streamOptimized"

      # Extent description
      RW 204800 SPARSE "disk.vmdk"

      # The Disk Data Base
      #DDB

      ddb.adapterType = "lsilogic"
      ddb.geometry.cylinders = "12"
      ddb.geometry.heads = "255"
      ddb.geometry.sectors = "63"
      ddb.longContentID = "2c70e12b7a0646f92279f427c7b38e73"
      ddb.virtualHWVersion = "13"
      "
    `)
  })

  it('is the same, byte for byte, whenever, wherever and with however many cores it is made', async () => {
    const first = await write(sampleDisk(), 'disk.vmdk', {}, undefined, never, 1)
    const second = await write(sampleDisk('other/copy.raw'), 'other/copy.vmdk', {}, undefined, never, 64)
    expect(second).toEqual(first)
    expect(readFileSync(path('other', 'copy.vmdk')).equals(readFileSync(path('disk.vmdk')))).toBe(true)
  })

  it('has identifiers of its own for other content, and differs in nothing else', async () => {
    await write(sampleDisk())
    await write(sampleDisk(), 'other.vmdk', { key: 'other' })
    const [one, other] = ['disk.vmdk', 'other.vmdk'].map((name) =>
      readFileSync(path(name)).toString('latin1'),
    )
    expect(other).not.toBe(one)
    const neutral = (text = '') => text.replace(/(CID=)[0-9a-f]{8}|(longContentID = ")[0-9a-f]{32}/g, '$1$2')
    expect(neutral(other)).toBe(neutral(one))
  })

  it('of a disk without data has no grain', async () => {
    await write(makeRawDisk(path('disk.raw'), 100 * mib, {}))
    expect(await checkVmdk(path('disk.vmdk'))).toEqual({ capacityBytes: 100 * mib, grains: 0 })
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(checkVmdk(path('disk.vmdk'), { signal })).rejects.toThrow('enough')
  })

  it('leaves out grains of zeros that are written on the disk', async () => {
    await write(makeRawDisk(path('disk.raw'), 4 * mib, { 0: Buffer.alloc(mib), [mib]: words('x', 10) }))
    expect(await checkVmdk(path('disk.vmdk'))).toEqual({ capacityBytes: 4 * mib, grains: 1 })
  })

  it('of a large disk takes no more room than its data', async () => {
    const size = 100 * kib * mib
    const { sizeBytes } = await write(makeRawDisk(path('disk.raw'), size, { [size - 1]: Buffer.from('x') }))
    expect(sizeBytes).toBeLessThan(100 * kib)
    expect(await checkVmdk(path('disk.vmdk'))).toEqual({ capacityBytes: size, grains: 1 })
  })

  it('cannot be of a disk that ends inside a grain', async () => {
    const disk = makeRawDisk(path('disk.raw'), mib + 512, {})
    await expect(write(disk)).rejects.toThrow('a disk of 1049088 bytes is not one of whole grains')
  })

  it('tells how far it is, up to all of it', async () => {
    const told: number[] = []
    await write(sampleDisk(), 'disk.vmdk', {}, (fraction) => told.push(fraction))
    expect(told.at(-1)).toBe(1)
    expect([...new Set(told)].sort((a, b) => a - b)).toEqual(told)
  })

  it('is given up when it is interrupted', async () => {
    const aborted = new AbortController()
    const writing = write(sampleDisk(), 'disk.vmdk', {}, () => aborted.abort(), aborted.signal)
    await expect(writing).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('fails with its disk', async () => {
    await expect(write({ ...sampleDisk(), path: path('none.raw') })).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a VMDK that is damaged', () => {
  const damage = async (change: (file: Buffer, map: ReturnType<typeof mapOf>) => Buffer | undefined) => {
    await write(sampleDisk())
    const file = readFileSync(path('disk.vmdk'))
    const changed = change(file, mapOf(file)) ?? file
    writeFileSync(path('bad.vmdk'), changed)
    return checkVmdk(path('bad.vmdk')).catch((error: unknown) => error)
  }
  const flip = (file: Buffer, at: number, bits = 1): undefined => {
    file[at] = (file[at] as number) ^ bits
  }
  const put = (file: Buffer, at: number, value: number): undefined => {
    file.writeUInt32LE(value, at)
  }
  const rewrite = (file: Buffer, from: string, to: string): undefined => {
    expect(to.length).toBe(from.length)
    const at = file.indexOf(from)
    expect(at).toBeGreaterThan(0)
    file.write(to, at)
  }

  it.each(Object.keys(headerFields) as HeaderField[])(
    'in the %s of its header is found out',
    async (field) => {
      const found = await damage((file) => flip(file, headerFields[field].offset))
      expect(found).toBeInstanceOf(VmdkFault)
      expect((found as VmdkFault).rule).toBe(`header-${field}`)
    },
  )

  it.each<[VmdkRule, Parameters<typeof damage>[0]]>([
    ['header-rest', (file) => flip(file, 500)],
    ['header-overhead', (file) => flip(file, 100 * 512)],
    ['descriptor-text', (file) => flip(file, 20 * 512)],
    ['descriptor-type', (file) => rewrite(file, 'streamOptimized"', 'monolithSparse" ')],
    ['descriptor-content-id', (file) => rewrite(file, `CID=${contentId}`, 'CID=00000000')],
    ['descriptor-content-id', (file) => rewrite(file, 'parentCID=ffffffff', 'parentCID=fffffffe')],
    ['descriptor-extent', (file) => rewrite(file, 'RW 204800', 'RW 204801')],
    ['descriptor-adapter', (file) => rewrite(file, 'lsilogic', 'buslogic')],
    ['descriptor-geometry', (file) => rewrite(file, 'cylinders = "12"', 'cylinders = "13"')],
    ['descriptor-geometry', (file) => rewrite(file, 'heads = "255"', 'heads = "016"')],
    ['descriptor-geometry', (file) => rewrite(file, 'sectors = "63"', 'sectors = "32"')],
    ['descriptor-hardware', (file) => rewrite(file, 'virtualHWVersion', 'virtualHVVersion')],
    ['whole-sectors', (file) => file.subarray(0, -1)],
    ['not-truncated', (file, { grains }) => file.subarray(0, (grains[5]?.at ?? 0) + 512)],
    ['not-truncated', (file) => file.subarray(0, -512)],
    ['marker-kind', (file, { tables }) => flip(file, (tables[0] ?? 0) - 512 + 12, 8)],
    ['marker-rest', (file, { tables }) => flip(file, (tables[0] ?? 0) - 512 + 16)],
    // The directory's marker becomes the footer's, and the footer's the end of the stream.
    ['marker-order', (file, { directory }) => flip(file, directory - 512 + 12, 1)],
    ['marker-order', (file) => flip(file, file.length - 1536 + 12, 3)],
    ['grain-place', (file, { grains }) => flip(file, grains[1]?.at ?? 0)],
    ['grain-place', (file, { grains }) => flip(file, (grains[7]?.at ?? 0) + 2, 0x10)],
    ['grain-order', (file, { grains }) => flip(file, grains[1]?.at ?? 0, 0x80)],
    ['grain-size', (file, { grains }) => flip(file, (grains[1]?.at ?? 0) + 8 + 3, 0x40)],
    ['grain-padding', (file, { grains }) => flip(file, (grains[1]?.at ?? 0) - 1)],
    ['grain-data', (file, { grains }) => flip(file, (grains[1]?.at ?? 0) + 100)],
    ['grain-data', (file, { grains }) => flip(file, (grains[1]?.at ?? 0) + 12)],
    // Grain 511 says that it is grain 512, of the next table.
    ['table-missing', (file, { grains }) => put(file, grains[3]?.at ?? 0, 512 * 128)],
    ['table-entries', (file, { tables }) => flip(file, tables[0] ?? 0)],
    ['table-entries', (file, { tables }) => flip(file, (tables[0] ?? 0) - 512)],
    ['directory-entries', (file, { directory }) => flip(file, directory)],
    ['directory-entries', (file, { directory }) => flip(file, directory - 512, 2)],
    ['footer-header', (file) => flip(file, file.length - 1024 + 56)],
    ['end-of-stream', (file) => Buffer.concat([file, Buffer.alloc(512)])],
  ])('breaks %s', async (rule, change) => {
    const found = await damage(change)
    expect(found).toBeInstanceOf(VmdkFault)
    expect((found as VmdkFault).rule).toBe(rule)
  })
})

describeWith(['qemu-img'], 'qemu-img', () => {
  const qemu = (...commandArguments: string[]) => {
    const { status, stdout, stderr } = spawnSync('qemu-img', commandArguments, { encoding: 'utf8' })
    return { status, text: `${stdout}${stderr}` }
  }
  const compare = () => qemu('compare', '-f', 'raw', '-F', 'vmdk', path('disk.raw'), path('disk.vmdk'))

  it('reads from a VMDK what is on the disk', async () => {
    await write(sampleDisk())
    expect(compare()).toEqual({ status: 0, text: 'Images are identical.\n' })
    const check = qemu('check', '-f', 'vmdk', path('disk.vmdk'))
    expect(check).toEqual({ status: 0, text: 'No errors were found on the image.\n' })
    const info = JSON.parse(
      execFileSync('qemu-img', ['info', '--output=json', path('disk.vmdk')], { encoding: 'utf8' }),
    )
    expect(info).toMatchObject({
      'virtual-size': 100 * mib,
      format: 'vmdk',
      'format-specific': { data: { 'create-type': 'streamOptimized', cid: Number.parseInt(contentId, 16) } },
    })
  })

  it('finds out a grain in another place, and one that is damaged', async () => {
    await write(sampleDisk())
    const file = readFileSync(path('disk.vmdk'))
    const { tables, grains } = mapOf(file)
    const swapped = Buffer.from(file)
    swapped.writeUInt32LE((grains[1]?.at ?? 0) / 512, tables[0] ?? 0)
    writeFileSync(path('disk.vmdk'), swapped)
    expect(compare().status).not.toBe(0)
    file.fill(0xff, (grains[1]?.at ?? 0) + 12, (grains[1]?.at ?? 0) + 100)
    writeFileSync(path('disk.vmdk'), file)
    expect(compare().status).not.toBe(0)
  })
})
