import { execFileSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { requireTablesFit } from '../../../src/disk/qcow2-tables.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const text = useOutput()
const qemu = (program: string, ...words: string[]) => execFileSync(program, words, { stdio: 'pipe' })

/** A first-level table of 32 MiB, behind the end of the file, in which every entry is the same. */
function makeBomb(file: string): number {
  const offset = statSync(file).size
  const table = Buffer.alloc(32 * 2 ** 20)
  for (let at = 0; at < table.length; at += 8) table.writeBigUInt64BE(BigInt(4 * 65_536), at)
  const disk = openSync(file, 'r+')
  ftruncateSync(disk, offset + table.length)
  writeSync(disk, table, 0, table.length, offset)
  closeSync(disk)
  return offset
}

function changeHeader(file: string, change: (header: Buffer) => void): void {
  const bytes = readFileSync(file)
  change(bytes)
  writeFileSync(file, bytes)
}

describeWith(['qemu-img', 'qemu-io'], 'the tables of a qcow2', () => {
  const make = () => {
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path('disk'), '1G')
    qemu('qemu-io', '-f', 'qcow2', '-c', 'write 0 64k', '-c', 'write 600M 64k', path('disk'))
  }

  it.each<[string, string[]]>([
    ['with snapshots inside', ['snapshot', '-c', 'one', 'DISK']],
    ['that was enlarged', ['resize', '-q', 'DISK', '4G']],
    ['that was made smaller', ['resize', '-q', '--shrink', 'DISK', '64M']],
    ['of small clusters', ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=512', 'DISK', '1G']],
    ['of large clusters', ['create', '-q', '-f', 'qcow2', '-o', 'cluster_size=2M', 'DISK', '1G']],
    ['of zeros only', ['create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', 'DISK', '1G']],
  ])('fit into a file %s', async (_what, words) => {
    make()
    qemu('qemu-img', ...words.map((word) => word.replace('DISK', path('disk'))))
    if (words[0] === 'create') qemu('qemu-io', '-f', 'qcow2', '-c', 'write 0 1k', path('disk'))
    await expect(requireTablesFit(path('disk'))).resolves.toBeUndefined()
  })

  it('may not name one other table millions of times', async () => {
    make()
    const offset = makeBomb(path('disk'))
    changeHeader(path('disk'), (header) => {
      header.writeUInt32BE(4 * 2 ** 20, 36)
      header.writeBigUInt64BE(BigInt(offset), 40)
    })
    for (const words of [
      ['diff', path('disk'), path('disk')],
      ['export', '--from', path('disk'), '--targets', 'kvm', '--out', path('out')],
    ]) {
      text.clear()
      expect(await main(words)).toBe(2)
      expect(text.stderr).toContain('its tables are larger than the file')
    }
  })

  it('may not do so in a snapshot either', async () => {
    make()
    qemu('qemu-img', 'snapshot', '-c', 'one', path('disk'))
    const offset = makeBomb(path('disk'))
    changeHeader(path('disk'), (header) => {
      const at = Number(header.readBigUInt64BE(64))
      header.writeBigUInt64BE(BigInt(offset), at)
      header.writeUInt32BE(4 * 2 ** 20, at + 8)
    })
    await expect(requireTablesFit(path('disk'))).rejects.toThrow('its tables are larger than the file')
    changeHeader(path('disk'), (header) => header.writeUInt32BE(65_536, 60))
    await expect(requireTablesFit(path('disk'))).rejects.toThrow('it has 65536 snapshots inside')
  })

  it('may not do so in a file that is large because of its holes', async () => {
    make()
    const offset = makeBomb(path('disk'))
    truncateSync(path('disk'), 400 * 2 ** 30)
    const file = openSync(path('disk'), 'r+')
    const header = Buffer.alloc(12)
    header.writeUInt32BE(4 * 2 ** 20, 0)
    header.writeBigUInt64BE(BigInt(offset), 4)
    writeSync(file, header, 0, 12, 36)
    closeSync(file)
    await expect(requireTablesFit(path('disk'))).rejects.toThrow('its tables are larger than the file')
  })
})

describeWith(['qemu-img'], 'the memory that a qcow2 takes', () => {
  const make = (size: string, ...options: string[]) =>
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options.join(), path('disk'), size)
  const addBitmap = (name: string, grain: string) =>
    qemu('qemu-img', 'bitmap', '--add', '--granularity', grain, path('disk'), name)

  it('may not be that of a count for each cluster of a large file', async () => {
    make('1G', 'cluster_size=512', 'refcount_bits=64')
    truncateSync(path('disk'), 8 * 2 ** 30)
    await expect(requireTablesFit(path('disk'))).resolves.toBeUndefined()
    truncateSync(path('disk'), 1000 * 2 ** 30)
    expect(await main(['diff', path('disk'), path('disk')])).toBe(2)
    expect(text.stderr).toContain('checking it takes 16000 MiB of memory; the limit is 256 MiB')
  })

  it('may not be that of dirty bitmaps with a bit for each sector', async () => {
    make('1T', 'cluster_size=2M')
    addBitmap('usual', '64k')
    await expect(requireTablesFit(path('disk'))).resolves.toBeUndefined()
    addBitmap('fine', '512')
    expect(await main(['diff', path('disk'), path('disk')])).toBe(2)
    expect(text.stderr).toContain('its dirty bitmaps take 258 MiB of memory; the limit is 32 MiB')
  })

  it('may not be that of thousands of dirty bitmaps', async () => {
    make('1T', 'cluster_size=64k')
    addBitmap('one', '64k')
    changeHeader(path('disk'), (header) => {
      const at = header.indexOf(Buffer.from('2385287500000018', 'hex'))
      header.writeUInt32BE(65_535, at + 8)
    })
    await expect(requireTablesFit(path('disk'))).rejects.toThrow(
      'it has 65535 dirty bitmaps; the limit is 100',
    )
  })
})
