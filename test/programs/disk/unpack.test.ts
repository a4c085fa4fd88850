/** Archives of disks: what is known of them before they are unpacked, and what is said about those that are not whole. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { requireRoom } from '../../../src/disk/no-room.ts'
import { unpackArchive, withUnpacked } from '../../../src/disk/unpack.ts'
import { sizeInGzip, sizeInXz, sizeInZip, sizeInZstd } from '../../../src/disk/unpacked-size.ts'
import { unreadableDisk } from '../../../src/disk/unreadable.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const signal = new AbortController().signal
afterEach(() => vi.unstubAllEnvs())

const packers: Readonly<Record<string, (file: string) => readonly string[]>> = {
  gz: (file) => ['gzip', '-kf', file],
  xz: (file) => ['xz', '-kf', file],
  zst: (file) => ['zstd', '-qf', file],
  bz2: (file) => ['bzip2', '-kf', file],
  zip: (file) => [
    'python3',
    '-c',
    `import zipfile; zipfile.ZipFile('${file}.zip', 'w', zipfile.ZIP_DEFLATED).write('${file}', 'disk.raw')`,
  ],
}

function pack(ending: string, bytes: number): string {
  writeFileSync(path('disk.raw'), Buffer.alloc(bytes, 'some of it'))
  const [program = '', ...words] = packers[ending]?.(path('disk.raw')) ?? []
  execFileSync(program, words)
  return path(`disk.raw.${ending}`)
}

describeWith(['gzip', 'xz', 'zstd', 'bzip2', 'unzip', 'python3'], 'an archive', () => {
  it.each(['disk[1].zip', 'disk?.zip', '*.zip'])(
    'is the file of that name, and no other: %s',
    async (name) => {
      mkdirSync(path('work'))
      renameSync(pack('zip', 1000), path('disk1.zip'))
      renameSync(pack('zip', 2000), path(name))
      const unpacked = await unpackArchive(path(name), path('work'), signal)
      expect(readFileSync(unpacked)).toHaveLength(2000)
      truncateSync(path(name), 60)
      await expect(unpackArchive(path(name), path('work'), signal)).rejects.toMatchObject({
        message: `cannot unpack ${path(name)}: it is damaged or truncated`,
      })
    },
  )

  it.each([
    ['gz', sizeInGzip],
    ['xz', sizeInXz],
    ['zst', sizeInZstd],
    ['zip', sizeInZip],
  ] as const)('says what it unpacks to: %s', async (ending, sizeIn) => {
    for (const bytes of [1, 255, 256, 70_000, 5_000_000])
      expect(await sizeIn(pack(ending, bytes), signal), `${bytes}`).toBe(bytes)
  })

  it('is not unpacked where there is no room for it', async () => {
    mkdirSync(path('work'))
    vi.stubEnv('TMPDIR', path('work'))
    await expect(requireRoom(2 ** 60, 'the unpacked x.xz')).rejects.toMatchObject({
      code: 'no-space',
      exitCode: 3,
      message: expect.stringMatching(
        /^there is no room in .*work for the unpacked x\.xz: it needs 1099511627776 MiB, \d+ MiB are free$/,
      ),
      hint: expect.stringContaining('TMPDIR'),
    })
    // The size in its header is a lie, which must not be asked for.
    const archive = pack('zst', 5_000_000)
    const bytes = readFileSync(archive)
    bytes.writeUInt32LE(0xffff_ffff, 6)
    writeFileSync(archive, bytes)
    expect(await sizeInZstd(archive, signal)).toBe(0xffff_ffff)
    await expect(unpackArchive(archive, path('work'), signal, 6_000_000)).rejects.toThrow(
      `${archive} unpacks to more than 6000000 bytes`,
    )
    expect(readdirSync(path('work'))).toEqual([])
  })

  it.each([
    ['gz', /unexpected end of file|corrupted/],
    ['xz', /Unexpected end of input/],
    ['zst', /Read error .* premature end|premature end/],
    ['bz2', /^cannot unpack .*: l?bzip2: /],
    ['zip', /it is damaged or truncated/],
  ] as const)('says why it cannot be unpacked, in one line: %s', async (ending, why) => {
    const archive = pack(ending, 5_000_000)
    truncateSync(archive, readFileSync(archive).length - 20)
    const failed = await unpackArchive(archive, path(), signal).catch((error) => error)
    expect(failed).toMatchObject({ code: 'disk-unreadable', message: expect.stringMatching(why) })
    expect(failed.message).not.toMatch(/\n|Command failed/)
  })

  it.each([
    ['xz', ['xz', '-c', '--lzma2=preset=0,dict=512MiB']],
    ['zst', ['zstd', '-q', '-c', '-1', '--long=29']],
  ] as const)(
    'is refused if it takes too much memory, and told apart from a damaged one: %s',
    async (ending, [program, ...words]) => {
      // A stream whose size is not known asks for its whole window.
      const packed = execFileSync(program, words, {
        input: Buffer.alloc(1000, 'some of it'),
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      writeFileSync(path(`large.${ending}`), packed)
      await expect(unpackArchive(path(`large.${ending}`), path(), signal)).rejects.toMatchObject({
        code: 'disk-unreadable',
        exitCode: 2,
        message: `cannot unpack ${path(`large.${ending}`)}: it takes more memory than 256 MiB`,
        hint: expect.stringContaining('unpack it yourself'),
      })
    },
  )

  it.each([
    ['xz', ['xz', '-9', '-c']],
    ['zst', ['zstd', '-q', '-c', '-19', '--long=27']],
  ] as const)('is unpacked as others pack it best: %s', async (ending, [program, ...words]) => {
    const content = Buffer.alloc(1000, 'some of it')
    writeFileSync(path(`best.${ending}`), execFileSync(program, words, { input: content }))
    mkdirSync(path('work'))
    const unpacked = await unpackArchive(path(`best.${ending}`), path('work'), signal)
    expect(readFileSync(unpacked).equals(content)).toBe(true)
  })

  it('is named in what fails afterwards, since its copy is gone by then', async () => {
    const archive = pack('gz', 1000)
    mkdirSync(path('work'))
    const failed = withUnpacked(archive, path('work'), signal, async (plain) => {
      throw unreadableDisk(`the disk ${plain} has no bytes`)
    })
    await expect(failed).rejects.toMatchObject({
      code: 'disk-unreadable',
      message: `the disk ${archive} (unpacked) has no bytes`,
      hint: expect.stringContaining('whole disk image'),
      exitCode: 2,
    })
  })
})
