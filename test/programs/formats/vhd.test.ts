import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readSync, statSync, symlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { writeWhole } from '../../../src/export/partial-file.ts'
import { openRawDisk, type RawDisk } from '../../../src/formats/raw-disk.ts'
import { verifyVhd, writeHypervVhd, writeXenVhd } from '../../../src/formats/vhd.ts'
import { checkVhd } from '../../../src/formats/vhd-check.ts'
import { geometryBytes, geometryOf, packGeometry } from '../../../src/formats/vhd-format.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { readCloudStackSize } from '../../support/cloudstack-vhd.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const MiB = 1024 * 1024
const options = { uuidSeed: 'content', timestampSeconds: Date.UTC(2026, 0, 2) / 1000 }
const quiet = () => undefined
/** Below the test's folder, where files are written. */
let folder = ''

beforeEach(() => {
  folder = ''
})

const qemu = (...words: string[]) => execFileSync(words[0] as string, words.slice(1), { encoding: 'utf8' })

/** A sparse disk with data at its beginning, across two blocks, and at its very end; one stretch is written zeros. */
async function makeDisk(sizeMiB = 252, name = 'disk.raw'): Promise<RawDisk> {
  const file = path(name)
  qemu('qemu-img', 'create', '-q', '-f', 'raw', file, `${sizeMiB}M`)
  const writes = ['-P 0x41 0 1M', '-P 0x42 5M 3M', '-P 0 20M 2M', `-P 0x43 ${sizeMiB * MiB - 512} 512`]
  qemu('qemu-io', '-f', 'raw', ...writes.flatMap((write) => ['-c', `write -q ${write}`]), file)
  return openRawDisk(file)
}

type Kind = 'xen' | 'dynamic' | 'fixed'
const kinds = ['xen', 'dynamic', 'fixed'] as const

async function write(
  kind: Kind,
  disk: RawDisk,
  over = {},
  progress: (fraction: number) => void = quiet,
  signal = never,
) {
  const file = path(folder, `${kind}.vhd`)
  await writeWhole(file, `${file}.partial`, signal, async (partial) => {
    if (kind === 'xen') await writeXenVhd(disk, partial, { ...options, ...over }, progress, signal)
    else await writeHypervVhd(disk, partial, { ...options, subformat: kind, ...over }, progress, signal)
  })
  return file
}

function bytesAt(file: string, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const handle = openSync(file, 'r')
  readSync(handle, bytes, 0, length, position)
  closeSync(handle)
  return bytes
}

describeWith(['qemu-img', 'qemu-io'], 'a VHD', () => {
  it.each(kinds)('of kind %s is sound, and qemu reads from it what is on the disk', async (kind) => {
    const disk = await makeDisk()
    const file = await write(kind, disk)
    expect(await checkVhd(file)).toEqual([])
    await verifyVhd(disk, file, never)
    const info = JSON.parse(qemu('qemu-img', 'info', '--output=json', '-f', 'vpc', file)) as Record<
      string,
      unknown
    >
    expect(info).toMatchObject({ format: 'vpc', 'virtual-size': disk.sizeBytes })
    expect(readdirSync(path()).sort()).toEqual(['disk.raw', `${kind}.vhd`])
  })

  it('has the same bytes in another place at another time', async () => {
    const disk = await makeDisk()
    const digests = async () => {
      const files: string[] = []
      for (const kind of kinds) files.push(await write(kind, disk))
      return Promise.all(files.map((file) => sha256File(file)))
    }
    const first = await digests()
    await sleep(1100)
    folder = 'elsewhere'
    mkdirSync(path(folder))
    expect(await digests()).toEqual(first)
    expect(new Set(first).size).toBe(3)
  })

  it('has another UUID for another content, and for another hypervisor', async () => {
    const disk = await makeDisk()
    const uuid = async (kind: Kind, over = {}) =>
      bytesAt(await write(kind, disk, over), 0, 512).toString('hex', 68, 84)
    const found = [await uuid('xen'), await uuid('dynamic'), await uuid('xen', { uuidSeed: 'another' })]
    expect(new Set(found).size).toBe(3)
    expect(await uuid('xen')).toBe(found[0])
  })

  it("for XenServer is laid out as its own tools' files are", async () => {
    const file = await write('xen', await makeDisk())
    const front = bytesAt(file, 0, 4096)
    const size = statSync(file).size
    expect(front.toString('latin1', 0, 8)).toBe('conectix')
    expect(front.toString('latin1', 28, 32)).toBe('tap\0')
    expect(front.readUInt32BE(24)).toBe(options.timestampSeconds - 946_684_800)
    expect([front.readUInt32BE(32), front.readUInt32BE(36)]).toEqual([0x10003, 0])
    // 512 cylinders, 16 heads, 63 sectors.
    expect(front.readUInt32BE(56)).toBe(0x0200_103f)
    expect(front.toString('latin1', 512, 520)).toBe('cxsparse')
    expect(front.readBigUInt64BE(512 + 16)).toBe(1536n)
    expect([front.readUInt32BE(512 + 28), front.readUInt32BE(512 + 32)]).toEqual([126, 2 * MiB])
    // Blocks 0, 2, 3 and 125; the one of written zeros is not there.
    const table = [...Array(126).keys()].map((index) => front.readUInt32BE(1536 + index * 4))
    const places = table.flatMap((sector, index) => (sector === 0xffff_ffff ? [] : [[index, sector * 512]]))
    expect(places).toEqual([0, 2, 3, 125].map((index, place) => [index, 3584 + place * (2 * MiB + 4096)]))
    for (const [, place] of places) {
      expect((place as number) % 4096).toBe(3584)
      expect(bytesAt(file, place as number, 512).equals(Buffer.alloc(512, 0xff))).toBe(true)
    }
    expect(front.toString('latin1', 2048, 2056)).toBe('tdbatmap')
    expect(front.readBigUInt64BE(2048 + 8)).toBe(2560n)
    expect([front.readUInt32BE(2048 + 16), front.readUInt32BE(2048 + 20)]).toEqual([1, 0x10002])
    expect(front.toString('hex', 2560, 2576)).toBe('b0000000000000000000000000000004')
    expect(size).toBe(3584 + 4 * (2 * MiB + 4096) - 3584 + 512)
    expect(bytesAt(file, size - 512, 512).equals(front.subarray(0, 512))).toBe(true)
  })

  it('of fixed size is the disk with a footer behind it, and takes no space for zeros', async () => {
    const disk = await makeDisk()
    const file = await write('fixed', disk)
    const { size, blocks } = statSync(file)
    expect(size).toBe(disk.sizeBytes + 512)
    expect(blocks * 512).toBeLessThan(10 * MiB)
    expect(bytesAt(file, disk.sizeBytes, 8).toString()).toBe('conectix')
  })

  it('of an empty disk has no block', async () => {
    qemu('qemu-img', 'create', '-q', '-f', 'raw', path('empty.raw'), '252M')
    const disk = await openRawDisk(path('empty.raw'))
    for (const kind of kinds) await verifyVhd(disk, await write(kind, disk), never)
    expect(statSync(path('xen.vhd')).size).toBe(3072 + 512)
  })

  it('of 100 GiB of nothing much takes no more than its data', async () => {
    const disk = await makeDisk(201 * 510)
    for (const kind of ['xen', 'fixed'] as const) {
      const file = await write(kind, disk)
      expect(await checkVhd(file)).toEqual([])
      expect(statSync(file).blocks * 512).toBeLessThan(12 * MiB)
    }
    await verifyVhd(disk, path('xen.vhd'), never)
  })

  it('tells how far it is, up to all of it', async () => {
    const told: number[] = []
    await write('xen', await makeDisk(), {}, (fraction) => told.push(fraction))
    expect(told.at(-1)).toBe(1)
    expect(told.length).toBeGreaterThan(3)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
  })

  const failing = async (kind: Kind, disk: RawDisk, over = {}, signal = never) =>
    (await write(kind, disk, over, quiet, signal).catch((error: unknown) => error)) as PipelineError

  it.each([
    [126 * MiB, 'would be 131996160 bytes'],
    [5000 * MiB, 'would be 5242503168 bytes'],
    [100 * 1024 * MiB, 'would be 107372544000 bytes'],
    [513 * 16 * 63 * 512, 'is not made of whole blocks'],
  ])('is refused for a disk of %i bytes, which some hypervisor would round', async (sizeBytes, reason) => {
    const error = await failing('xen', { path: path('none'), sizeBytes, extents: [] })
    expect(error).toBeInstanceOf(PipelineError)
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain(reason)
    expect(error.hint).toContain('126 MiB')
    expect(readdirSync(path())).toEqual([])
  })

  it('is refused with a date in the future; one before 2000 counts as the first moment of that year', async () => {
    const disk = await makeDisk()
    const error = await failing('xen', disk, { timestampSeconds: Math.ceil(Date.now() / 1000) + 60 })
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain('is in the future')
    expect(bytesAt(await write('xen', disk, { timestampSeconds: 0 }), 0, 512).readUInt32BE(24)).toBe(0)
    expect(await checkVhd(path('xen.vhd'))).toEqual([])
  })

  it('that does not fit says so in plain words, and leaves nothing', async () => {
    const disk = await makeDisk()
    for (const kind of kinds) {
      symlinkSync('/dev/full', path(`${kind}.vhd.partial`))
      const error = await failing(kind, disk)
      expect(error).toBeInstanceOf(PipelineError)
      expect(error.message).toBe(`the image ${path(`${kind}.vhd`)} could not be made: its disk is full`)
    }
    expect(readdirSync(path())).toEqual(['disk.raw'])
  })

  it('that fails leaves the one that was there', async () => {
    const disk = await makeDisk()
    const before = await sha256File(await write('xen', disk))
    const error = await failing('xen', { ...disk, path: path('gone.raw') })
    expect(error.code).toBe('export-failed')
    expect(await sha256File(path('xen.vhd'))).toBe(before)
    expect(readdirSync(path()).sort()).toEqual(['disk.raw', 'xen.vhd'])
  })

  it('that is interrupted is no failure, and leaves nothing', async () => {
    const disk = await makeDisk()
    const interrupted = new Error('interrupted')
    expect(await failing('xen', disk, {}, AbortSignal.abort(interrupted))).toBe(interrupted)
    const controller = new AbortController()
    const told: number[] = []
    const stop = (fraction: number) => {
      told.push(fraction)
      controller.abort(interrupted)
    }
    await expect(write('fixed', disk, {}, stop, controller.signal)).rejects.toBe(interrupted)
    expect(told.length).toBe(1)
    expect(readdirSync(path())).toEqual(['disk.raw'])
  })

  it('that holds something else than its disk is told from one that does not', async () => {
    const disk = await makeDisk()
    const file = await write('xen', disk)
    const place = 3584 + 512 + 700_000
    qemu('qemu-io', '-f', 'raw', '-c', `write -q -P 0x99 ${place} 1`, file)
    // Nothing of its structure is wrong.
    expect(await checkVhd(file)).toEqual([])
    await expect(verifyVhd(disk, file, never)).rejects.toThrow(/not what it should be: .*mismatch/is)
  })
})

describeWith(['qemu-img'], 'the geometry of a disk', () => {
  it.each([252, 1260, 5040, 32_130, 102_510])('of %i MiB is the one that qemu-img gives it', (sizeMiB) => {
    qemu('qemu-img', 'create', '-q', '-f', 'vpc', path('theirs.vhd'), `${sizeMiB}M`)
    const footer = bytesAt(path('theirs.vhd'), 0, 512)
    expect(footer.readBigUInt64BE(48)).toBe(BigInt(sizeMiB * MiB))
    expect(footer.readUInt32BE(56)).toBe(packGeometry(geometryOf(sizeMiB * MiB)))
  })

  it('is exact for every multiple of 126 MiB from 252 MiB to 31 GiB', () => {
    const sizes = [...Array(254).keys()].map((index) => (index + 2) * 126 * MiB)
    expect(sizes.filter((size) => geometryBytes(geometryOf(size)) !== size)).toEqual([])
    expect(sizes.at(-1)).toBe(32_130 * MiB)
  })

  it.each([
    [40 * MiB, 963, 5, 17],
    [126 * MiB, 1011, 15, 17],
    [200 * MiB, 825, 16, 31],
    [5040 * MiB, 10_240, 16, 63],
    [102_510 * MiB, 51_456, 16, 255],
    [3_000_000 * MiB, 65_535, 16, 255],
  ])('of %i bytes is %i/%i/%i', (size, cylinders, heads, sectorsPerTrack) => {
    expect(geometryOf(size)).toEqual({ cylinders, heads, sectorsPerTrack })
    expect(geometryBytes(geometryOf(size))).toBeLessThanOrEqual(size)
  })
})

describeWith(['qemu-img', 'qemu-io'], 'a VHD for CloudStack', () => {
  it('tells its virtual size where that looks for it', async () => {
    const disk = await makeDisk()
    for (const kind of ['xen', 'dynamic'] as const) {
      expect(readCloudStackSize(await write(kind, disk))).toBe(disk.sizeBytes)
    }
    // It takes the size of the file, which is one sector more.
    expect(readCloudStackSize(await write('fixed', disk))).toBe(disk.sizeBytes + 512)
  })
})
