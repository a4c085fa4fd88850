import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { writeWhole } from '../../../src/export/partial-file.ts'
import { openRawDisk, type RawDisk } from '../../../src/formats/raw-disk.ts'
import { crc32c, writeVhdx } from '../../../src/formats/vhdx.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const quiet = () => undefined
const run = (program: string, ...words: string[]) => execFileSync(program, words, { encoding: 'utf8' })

async function makeDisk(): Promise<RawDisk> {
  run('qemu-img', 'create', '-q', '-f', 'raw', path('disk'), '252M')
  run('qemu-io', '-f', 'raw', '-c', 'write -q -P 1 0 1M', '-c', 'write -q -P 2 251M 1M', path('disk'))
  return openRawDisk(path('disk'))
}

describeWith(['qemu-img', 'qemu-io'], 'a VHDX', () => {
  it('is sound, has what the disk has, and the same bytes every time', async () => {
    const disk = await makeDisk()
    const told: number[] = []
    await writeVhdx(disk, path('a.vhdx'), { uuidSeed: 'x' }, (fraction) => told.push(fraction), never)
    expect(run('qemu-img', 'compare', '-f', 'raw', '-F', 'vhdx', path('disk'), path('a.vhdx'))).toContain(
      'identical',
    )
    expect(run('qemu-img', 'check', '-f', 'vhdx', path('a.vhdx'))).toContain('No errors')
    expect(JSON.parse(run('qemu-img', 'info', '--output=json', path('a.vhdx')))).toMatchObject({
      format: 'vhdx',
      'virtual-size': disk.sizeBytes,
    })
    expect(told.at(-1)).toBe(1)
    mkdirSync(path('elsewhere'))
    await writeVhdx(disk, path('elsewhere', 'b.vhdx'), { uuidSeed: 'x' }, quiet, never)
    expect(await sha256File(path('elsewhere', 'b.vhdx'))).toBe(await sha256File(path('a.vhdx')))
    await writeVhdx(disk, path('elsewhere', 'b.vhdx'), { uuidSeed: 'y' }, quiet, never)
    expect(await sha256File(path('elsewhere', 'b.vhdx'))).not.toBe(await sha256File(path('a.vhdx')))
  })

  it('has no random number left: its identifiers follow from the seed, and its log is empty', async () => {
    await writeVhdx(await makeDisk(), path('a.vhdx'), { uuidSeed: 'x' }, quiet, never)
    const bytes = readFileSync(path('a.vhdx')).subarray(0, 4 * 1024 * 1024)
    expect(bytes.subarray(1 << 20, 2 << 20).every((byte) => byte === 0)).toBe(true)
    const headers = [0x10000, 0x20000].map((offset) => bytes.subarray(offset, offset + 4096))
    expect(headers.map((header) => header.readBigUInt64LE(8)).sort()).toEqual([1n, 2n])
    for (const header of headers) {
      const copy = Buffer.from(header)
      copy.writeUInt32LE(0, 4)
      expect(crc32c(copy)).toBe(header.readUInt32LE(4))
    }
  })

  it('that fails says why, and leaves nothing', async () => {
    const disk = await makeDisk()
    const make = (from: RawDisk, signal = never) =>
      writeWhole(path('a.vhdx'), `${path('a.vhdx')}.partial`, signal, (partial) =>
        writeVhdx(from, partial, { uuidSeed: 'x' }, quiet, signal),
      )
    await expect(make({ ...disk, path: path('gone') })).rejects.toMatchObject({ code: 'export-failed' })
    const interrupted = new Error('interrupted')
    const aborted = AbortSignal.abort(interrupted)
    await expect(make(disk, aborted)).rejects.toBe(interrupted)
    expect(readdirSync(path())).toEqual(['disk'])
  })

  it('has the checksum that the polynomial is known by', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283)
  })
})
