import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, statSync, symlinkSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compressGrains } from '../../../src/formats/grains.ts'
import { exportQcow2, type Qcow2Options } from '../../../src/formats/qcow2.ts'
import type { RawDisk } from '../../../src/formats/raw-disk.ts'
import { makeRawDisk, noise, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const quiet = () => undefined
const kib = 1024
const mib = 1024 * kib
const gib = 1024 * mib
const cluster = 64 * kib
const zlib: Qcow2Options = { compat: '1.1', compression: 'zlib' }

function qemu(...words: string[]) {
  const { status, stdout, stderr } = spawnSync('qemu-img', words, { encoding: 'utf8' })
  return { status, text: `${stdout}${stderr}` }
}

/** Writes the file and has it judged once more, by eyes of our own. */
async function make(disk: RawDisk, { options = zlib, name = 'disk.qcow2', concurrency = 16 } = {}) {
  const grains = compressGrains(disk, concurrency)
  await exportQcow2(disk, path(name), options, quiet, never, grains)
  const check = qemu('check', '--output=json', '-f', 'qcow2', path(name))
  const compare = qemu('compare', '-f', 'raw', '-F', 'qcow2', disk.path, path(name))
  expect(check.status).toBe(0)
  expect(compare).toEqual({ status: 0, text: 'Images are identical.\n' })
  return JSON.parse(check.text) as Readonly<Record<string, number>>
}

describeWith(['qemu-img'], 'a qcow2', () => {
  it.each<[string, number, Record<number, Buffer>]>([
    ['nothing', mib, {}],
    ['one sector, the last', mib + 512, { [mib]: words('end', 512) }],
    ['less than a cluster', 512, { 0: words('all', 512) }],
    ['data that gets smaller', mib, { 0: words('start', 5 * cluster), [mib - 512]: words('end', 512) }],
    ['data that does not', mib, { 0: noise(3 * cluster), [10 * cluster]: noise(cluster) }],
    [
      'more of it than waits for each other',
      20 * mib,
      { 0: words('first', cluster), [mib]: noise(130 * cluster), [15 * mib]: words('last', cluster) },
    ],
    ['zeros that are written', mib, { 0: Buffer.alloc(2 * cluster), [3 * cluster]: words('x', 100) }],
    [
      'data on both sides of the borders of its tables',
      3 * 512 * mib,
      {
        [512 * mib - cluster]: words('edge', 2 * cluster),
        [1024 * mib - 100]: noise(200),
        [3 * 512 * mib - 1024]: words('end', 1024),
      },
    ],
  ])('of a disk with %s is sound and equal to it', async (_case, size, content) => {
    const disk = makeRawDisk(path('disk.raw'), size, content)
    for (const compat of ['0.10', '1.1'] as const) {
      await make(disk, { options: { compat, compression: 'zlib' } })
      const info = JSON.parse(qemu('info', '--output=json', path('disk.qcow2')).text)
      expect(info).toMatchObject({ 'virtual-size': size, 'format-specific': { data: { compat } } })
    }
  })

  it('of 100 GiB takes no more room than its data', async () => {
    const size = 100 * gib
    await make(makeRawDisk(path('disk.raw'), size, { [size - 1]: Buffer.from('x') }))
    expect(statSync(path('disk.qcow2')).size).toBeLessThan(10 * cluster)
  })

  it('has its compressed clusters one behind the other, without gaps', async () => {
    const disk = makeRawDisk(path('disk.raw'), 64 * mib, { 0: words('many', 32 * mib) })
    const { 'compressed-clusters': compressed } = await make(disk)
    expect(compressed).toBe(512)
    let bytes = 0
    for await (const { deflated } of compressGrains(disk)) bytes += deflated.length
    // Header, two tables, counts and their list, and the rest of a cluster.
    expect(statSync(path('disk.qcow2')).size).toBeLessThan(bytes + 6 * cluster)
  })

  it('is the same, byte for byte, whenever, wherever and with however many cores it is made', async () => {
    const content = { 0: words('start', 40 * cluster), [4 * mib]: noise(70 * cluster) }
    await make(makeRawDisk(path('disk.raw'), 16 * mib, content), { concurrency: 1 })
    await make(makeRawDisk(path('copy.raw'), 16 * mib, content), { name: 'copy.qcow2', concurrency: 64 })
    expect(readFileSync(path('copy.qcow2')).equals(readFileSync(path('disk.qcow2')))).toBe(true)
  })

  it('that does not fit fails', async () => {
    symlinkSync('/dev/full', path('disk.qcow2'))
    const disk = makeRawDisk(path('disk.raw'), mib, { 0: words('x', mib) })
    await expect(exportQcow2(disk, path('disk.qcow2'), zlib, quiet, never)).rejects.toThrow('ENOSPC')
  })

  it('is read by a guest, not only by those who convert it', async () => {
    const disk = makeRawDisk(path('disk.raw'), mib, {
      0: words('start', 2 * cluster),
      [mib / 2]: noise(cluster),
    })
    await make(disk)
    // A write into a compressed cluster, which others share a cluster of the file with, and the counts stay right.
    execFileSync('qemu-io', [
      '-c',
      'write -q -P 0x55 100 512',
      '-c',
      'discard -q 64k 64k',
      path('disk.qcow2'),
    ])
    expect(qemu('check', '-f', 'qcow2', path('disk.qcow2')).status).toBe(0)
  })
})

describe('what is deflated', () => {
  const lengths = async (content: Buffer) => {
    const found: { deflated: number; plain: number | undefined }[] = []
    for await (const { deflated, plain } of compressGrains(
      makeRawDisk(path('disk.raw'), mib, { 0: content }),
    )) {
      found.push({ deflated: deflated.length, plain: plain?.length })
    }
    return found
  }
  const repeated = (period: number) =>
    Buffer.concat(Array.from({ length: cluster / period }, () => noise(period)))

  it('looks back no further than readers of qcow2 do', async () => {
    const [near] = await lengths(repeated(2 * kib))
    expect(near?.deflated).toBeLessThan(3 * kib)
    const [far] = await lengths(repeated(8 * kib))
    expect(far?.deflated).toBeGreaterThan(cluster)
  })

  it('has its data beside it only where it did not get smaller', async () => {
    const found = await lengths(Buffer.concat([words('x', cluster), noise(cluster)]))
    expect(found.map(({ plain }) => plain)).toEqual([undefined, cluster])
  })
})
