import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { writeWhole } from '../../../src/export/partial-file.ts'
import { exportOva, type OvaOptions } from '../../../src/formats/ova.ts'
import { renderOvf } from '../../../src/formats/ovf.ts'
import type { RawDisk } from '../../../src/formats/raw-disk.ts'
import { checkVmdk } from '../../../src/formats/vmdk-check.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { ovaOptions, vmwareFields } from '../../../src/targets/vmware.ts'
import { makeRawDisk, noise, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { ovfFaults, readAsCloudStack } from '../../support/ovf-rules.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const mib = 2 ** 20
const date = 1_767_312_000

const sampleDisk = (name = 'disk.raw'): RawDisk =>
  makeRawDisk(path(name), 40 * mib, {
    0: words('start', mib),
    [8 * mib]: noise(1000),
    [39 * mib]: words('end', 77),
  })

async function make(
  over: Partial<OvaOptions> = {},
  { disk = sampleDisk(), file = 'image.ova', signal = never, onProgress = (_: number) => {} } = {},
) {
  const options = {
    name: 'sample',
    ...ovaOptions(vmwareFields.parse({})),
    sourceDateEpoch: date,
    key: 'key',
    ...over,
  }
  await writeWhole(path(file), `${path(file)}.partial`, signal, (partial) =>
    exportOva(disk, partial, options, onProgress, signal),
  )
  return readFileSync(path(file))
}

interface Entry {
  readonly name: string
  readonly offset: number
  readonly data: Buffer
  readonly header: Buffer
}

/** A tar as its headers tell it. */
function entriesOf(tar: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; tar[at] !== 0; ) {
    const header = tar.subarray(at, at + 512)
    const text = (from: number, length: number) =>
      header.toString('latin1', from, from + length).replace(/\0.*$/s, '')
    const size = Number.parseInt(text(124, 12), 8)
    entries.push({
      name: text(0, 100),
      offset: at + 512,
      data: tar.subarray(at + 512, at + 512 + size),
      header,
    })
    at += 512 + Math.ceil(size / 512) * 512
  }
  return entries
}

const textOf = (entry?: Entry) => entry?.data.toString() ?? ''

describeWith(['qemu-img', 'tar'], 'an OVA', () => {
  it('has the description first, then the checksums, then the disk, and nothing else', async () => {
    const tar = await make()
    const list = execFileSync('tar', ['--numeric-owner', '--utc', '--full-time', '-tvf', path('image.ova')], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
    })
    expect(
      list
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/ +/g, ' ')),
    ).toEqual([
      expect.stringMatching(/^-rw-r--r-- 0\/0 \d+ 2026-01-02 00:00:00 sample\.ovf$/),
      expect.stringMatching(/^-rw-r--r-- 0\/0 \d+ 2026-01-02 00:00:00 sample\.mf$/),
      expect.stringMatching(/^-rw-r--r-- 0\/0 \d+ 2026-01-02 00:00:00 sample-disk1\.vmdk$/),
    ])
    for (const { header } of entriesOf(tar)) {
      expect(header.toString('latin1', 257, 265)).toBe('ustar\x0000')
      expect(header.toString('latin1', 156, 157)).toBe('0')
    }
    const last = entriesOf(tar).at(-1) as Entry
    expect(tar.length).toBe(last.offset + last.data.length + 1024)
    expect(tar.subarray(-1024).every((byte) => byte === 0)).toBe(true)
  })

  it('has the checksums of the other files in its manifest, in the only spelling that importers take', async () => {
    const [ovf, manifest, disk] = entriesOf(await make())
    const checksum = (entry?: Entry) =>
      createHash('sha256')
        .update(entry?.data ?? '')
        .digest('hex')
    expect(textOf(manifest)).toBe(
      `SHA256(sample.ovf)= ${checksum(ovf)}\nSHA256(sample-disk1.vmdk)= ${checksum(disk)}\n`,
    )
  })

  it('describes the disk that is in it', async () => {
    const [ovf, , disk] = entriesOf(await make())
    expect(ovfFaults(textOf(ovf))).toEqual([])
    expect(readAsCloudStack(textOf(ovf))).toMatchObject({
      virtualSizeBytes: 40 * mib,
      disks: [{ href: disk?.name, fileBytes: disk?.data.length, virtualSizeBytes: 40 * mib }],
    })
    expect(textOf(ovf)).toContain(`ovf:populatedSize="${18 * 65_536}"`)
  })

  it('has the disk in it, for qemu-img and by the rules', async () => {
    const disk = entriesOf(await make())[2] as Entry
    writeFileSync(path('disk.vmdk'), disk.data)
    const compare = ['compare', '-f', 'raw', '-F', 'vmdk', path('disk.raw'), path('disk.vmdk')]
    expect(execFileSync('qemu-img', compare, { encoding: 'utf8' })).toBe('Images are identical.\n')
    const part = { offset: disk.offset, length: disk.data.length }
    expect(await checkVmdk(path('image.ova'), { part })).toEqual({ capacityBytes: 40 * mib, grains: 18 })
  })

  it('is the same, byte for byte, whenever and wherever it is made', async () => {
    const first = await make()
    mkdirSync(path('other'))
    const disk = sampleDisk('other/copy.raw')
    utimesSync(disk.path, 1, 1)
    const second = await make({}, { disk, file: 'other/copy.ova' })
    expect(second.equals(first)).toBe(true)
  })

  it('keeps its places when the numbers in the description turn out short', async () => {
    const room = (name: string, numbers: number) => {
      const { machine } = ovaOptions(vmwareFields.parse({}))
      const sizes = {
        diskFileBytes: numbers,
        populatedBytes: Math.min(numbers, 40 * mib),
        capacityBytes: 40 * mib,
      }
      const text = renderOvf({ name, machine, diskFile: `${name}-disk1.vmdk`, ...sizes })
      return Math.ceil(text.length / 512)
    }
    const names = Array.from({ length: 85 }, (_, length) => 'x'.repeat(length + 1))
    const name = names.find((one) => room(one, 8 ** 11 - 1) > room(one, 100_000))
    expect(name).toBeDefined()
    const [ovf, manifest, disk] = entriesOf(await make({ name: name ?? '' }))
    expect(textOf(ovf)).toMatch(/<\/Envelope>\n\n+$/)
    expect(ovfFaults(textOf(ovf))).toEqual([])
    expect(textOf(manifest)).toContain(createHash('sha256').update(textOf(ovf)).digest('hex'))
    expect(disk?.data.toString('latin1', 0, 4)).toBe('KDMV')
  })

  it('tells how far it is, up to all of it', async () => {
    const told: number[] = []
    await make({}, { onProgress: (fraction) => told.push(fraction) })
    expect(told.at(-1)).toBe(1)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
  })
})

describeWith(['qemu-img'], 'an OVA that cannot be made', () => {
  const failing = async (...how: Parameters<typeof make>) =>
    (await make(...how).catch((error: unknown) => error)) as PipelineError

  it('says that the disk is full', async () => {
    symlinkSync('/dev/full', path('image.ova.partial'))
    const error = await failing()
    expect(error).toBeInstanceOf(PipelineError)
    expect(error.code).toBe('export-failed')
    expect(error.message).toBe(`the image ${path('image.ova')} could not be made: its disk is full`)
    expect(readdirSync(path())).toEqual(['disk.raw'])
  })

  it('leaves the one that was there', async () => {
    await make()
    const before = await sha256File(path('image.ova'))
    const error = await failing({ key: 'other' }, { disk: { ...sampleDisk(), path: path('none.raw') } })
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain('none.raw')
    expect(await sha256File(path('image.ova'))).toBe(before)
    expect(readdirSync(path()).sort()).toEqual(['disk.raw', 'image.ova'])
  })

  it('is not moved into place when qemu-img reads something else from it', async () => {
    const disk = sampleDisk()
    const error = await failing({}, { disk: { ...disk, extents: disk.extents.slice(1) } })
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain('qemu-img compare')
    expect(readdirSync(path())).toEqual(['disk.raw'])
  })

  it('is no failure when it was interrupted, and leaves nothing', async () => {
    const aborted = new AbortController()
    const interrupted = new Error('interrupted')
    const onProgress = () => aborted.abort(interrupted)
    expect(await failing({}, { signal: aborted.signal, onProgress })).toBe(interrupted)
    expect(existsSync(path('image.ova'))).toBe(false)
    expect(readdirSync(path())).toEqual(['disk.raw'])
  })
})
