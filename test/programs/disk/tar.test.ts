import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { hashMember, readMember, readTar, type TarMember } from '../../../src/disk/tar.ts'
import { tarBlockBytes } from '../../../src/disk/tar-header.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const archive = () => path('a.tar')

/** One header, with a checksum that is right. */
function header(fields: {
  readonly name?: string
  readonly size?: string | Buffer
  readonly kind?: string
  readonly magic?: string
  readonly prefix?: string
}): Buffer {
  const { name = 'a', size = '00000000005\0', kind = '0', magic = 'ustar\x0000', prefix = '' } = fields
  const block = Buffer.alloc(tarBlockBytes)
  block.write(name, 0)
  Buffer.from(size).copy(block, 124)
  block.write(kind, 156, 'latin1')
  block.write(magic, 257, 'latin1')
  block.write(prefix, 345)
  seal(block, 0)
  return block
}

/** Gives the header at a place the checksum of its bytes. */
function seal(bytes: Buffer, at: number): void {
  bytes.write(' '.repeat(8), at + 148)
  const sum = bytes.subarray(at, at + tarBlockBytes).reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148)
}

/** Numbers below a limit, the same every time. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
}

const content = (text: string) => Buffer.concat([Buffer.from(text), Buffer.alloc(-text.length & 511)])
const end = Buffer.alloc(2 * tarBlockBytes)
const write = (...blocks: readonly Buffer[]) => writeFileSync(archive(), Buffer.concat(blocks))
const base256 = (bytes: readonly number[]) =>
  Buffer.from([...bytes.slice(0, 1), ...Array(12 - bytes.length).fill(0), ...bytes.slice(1)])
/** A pax record knows its own length. */
const pax = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`
  const digits = `${rest.length + 2}`.length
  return content(`${rest.length + digits}${rest}`)
}
const paxHeader = (record: Buffer, kind = 'x') => {
  const length = Number(/^\d+/.exec(record.toString())?.[0])
  return Buffer.concat([header({ kind, size: `${length.toString(8).padStart(11, '0')}\0` }), record])
}

describe('a tar archive', () => {
  it.each<[what: string, blocks: readonly Buffer[], members: readonly TarMember[]]>([
    ['plain', [header({}), content('hello'), end], [{ name: 'a', offset: 512, sizeBytes: 5 }]],
    ['without an end', [header({}), content('hello')], [{ name: 'a', offset: 512, sizeBytes: 5 }]],
    ['without a padding', [header({}), Buffer.from('hello')], [{ name: 'a', offset: 512, sizeBytes: 5 }]],
    [
      'with spaces around its octal digits',
      [header({ size: '         5 \0' }), content('hello'), end],
      [{ name: 'a', offset: 512, sizeBytes: 5 }],
    ],
    [
      'with a size as a binary number',
      [header({ size: base256([0x80, 5]) }), content('hello'), end],
      [{ name: 'a', offset: 512, sizeBytes: 5 }],
    ],
    [
      'with a comment for all files, as of git archive',
      [paxHeader(pax('comment', '5'), 'g'), header({}), content('hello'), end],
      [{ name: 'a', offset: 1536, sizeBytes: 5 }],
    ],
    [
      'with a folder in front of a name',
      [header({ prefix: 'b/c' }), content('hello'), end],
      [{ name: 'b/c/a', offset: 512, sizeBytes: 5 }],
    ],
    [
      'of GNU, with times where POSIX has the folder',
      [header({ magic: 'ustar  \0', prefix: '15042513455' }), content('hello'), end],
      [{ name: 'a', offset: 512, sizeBytes: 5 }],
    ],
    [
      'with a name from the folder that it is in',
      [header({ name: './a' }), content('hello'), end],
      [{ name: 'a', offset: 512, sizeBytes: 5 }],
    ],
    [
      'with a folder and a link in it, which have no content',
      [header({ kind: '5' }), header({ kind: '2' }), header({}), content('hello'), end],
      [{ name: 'a', offset: 1536, sizeBytes: 5 }],
    ],
    [
      "with a size in pax's header, where its own has no room",
      [paxHeader(pax('size', '5')), header({ size: '00000000000\0' }), content('hello'), end],
      [{ name: 'a', offset: 1536, sizeBytes: 5 }],
    ],
    [
      "with pax's header for one file, and not for the next",
      [paxHeader(pax('path', 'long')), header({}), content('hello'), header({}), content('hello'), end],
      [
        { name: 'long', offset: 1536, sizeBytes: 5 },
        { name: 'a', offset: 2560, sizeBytes: 5 },
      ],
    ],
    ['with nothing in it', [end], []],
  ])('%s is read', async (_, blocks, members) => {
    write(...blocks)
    expect(await readTar(archive())).toEqual(members)
  })

  const damaged = header({})
  damaged[0] = 98
  it.each<[what: string, blocks: readonly Buffer[], said: string]>([
    ['a changed header', [damaged, content('hello')], 'there is no header at byte 0'],
    ['something behind a file', [header({}), content('hello'), content('noise')], 'no header at byte 1024'],
    ['a file that is cut short', [header({}), Buffer.from('hell')], 'truncated: a ends 1 bytes beyond'],
    ['a header that is cut short', [header({}), content('hello'), Buffer.alloc(9)], 'it ends at byte 1033'],
    ['a size of other characters', [header({ size: '5x' }), content('hello')], 'a has no size'],
    ['no size', [header({ size: '' }), content('hello')], 'a has no size'],
    ['a size below zero', [header({ size: Buffer.alloc(12, 0xff) }), content('hello')], 'a has no size'],
    [
      'a size that no number holds',
      [header({ size: base256([0x80, 1, 0, 0, 0, 0, 0, 0, 0]) }), content('hello')],
      'a has no size',
    ],
    ['a sparse file of GNU', [header({ kind: 'S' }), content('hello')], 'a is a sparse file'],
    [
      'a sparse file of pax',
      [paxHeader(pax('GNU.sparse.major', '1')), header({}), content('hello')],
      'a sparse file',
    ],
    ...['path', 'linkpath', 'size', 'GNU.sparse.size'].map((key): [string, readonly Buffer[], string] => [
      `a global header that only some readers use (${key})`,
      [paxHeader(pax(key, '5'), 'g'), header({}), content('hello')],
      `a global header with the ${key} of all its files`,
    ]),
    ['a link to nothing', [header({ kind: '1' })], 'a link to , which does not exist'],
    ['a part of a larger archive', [header({ kind: 'M' }), content('hello')], 'a is of the kind "M"'],
    ['a damaged pax header', [header({ kind: 'x' }), content('hello'), header({})], 'damaged pax header'],
    [
      'a size that is none in a pax header',
      [paxHeader(pax('size', '-5')), header({}), content('hello')],
      'a file of the size -5',
    ],
    [
      'an endless name',
      [header({ kind: 'L', size: '00010000000\0' }), Buffer.alloc(1 << 21)],
      'a name in it has 2097152 bytes',
    ],
    [
      'a name longer than any path',
      [header({ kind: 'L', size: '00000020000\0' }), Buffer.alloc(8192, 'n'), header({}), content('hello')],
      'a name in it has 8192 bytes',
    ],
    [
      'a long name in a pax header',
      [paxHeader(pax('path', 'n'.repeat(4097))), header({}), content('hello')],
      'a name in it has 4097 bytes',
    ],
    [
      'files without end',
      Array.from({ length: 1001 }, () => header({ size: '00000000000\0' })),
      'more than 1000 headers',
    ],
  ])('with %s is refused', async (_, blocks, said) => {
    write(...blocks)
    const refused = expect(readTar(archive())).rejects
    await refused.toMatchObject({ code: 'disk-unreadable', message: expect.stringContaining(said) })
  })

  it('with folders without end is refused', async () => {
    write(...Array.from({ length: 1001 }, () => header({ kind: '5', size: '00000000000\0' })))
    await expect(readTar(archive())).rejects.toThrow('more than 1000 headers')
  })

  it('is no longer read after an interruption', async () => {
    write(header({}), content('hello'), end)
    const interrupted = AbortSignal.abort(new Error('enough'))
    await expect(readTar(archive(), interrupted)).rejects.toThrow('enough')
  })

  it('has no text that fills the memory', async () => {
    write(header({ size: '20000000000\0' }))
    truncateSync(archive(), 3 * 1024 ** 3)
    const [member] = await readTar(archive())
    const refused = expect(readMember(archive(), member as TarMember)).rejects
    await refused.toMatchObject({
      code: 'disk-unreadable',
      message: expect.stringContaining('2147483648 bytes'),
    })
  })

  it('with any bytes in its headers has files inside of it, or is refused', async () => {
    const sound = [
      paxHeader(pax('size', '5')),
      header({}),
      content('hello'),
      header({ kind: 'L', name: 'long', size: '00000000004\0' }),
      content('name'),
      header({ name: 'b', size: base256([0x80, 3]) }),
      content('end'),
      end,
    ]
    const random = randomFrom(20_261_128)
    const outcomes = { read: 0, refused: 0 }
    for (let round = 0; round < 3000; round += 1) {
      const bytes = Buffer.concat(sound)
      for (let changes = random(4); changes >= 0; changes -= 1) {
        const block = random(bytes.length / tarBlockBytes) * tarBlockBytes
        // Mostly where sizes, kinds and lengths are.
        const at = [124 + random(12), 156, random(20), random(tarBlockBytes)][random(4)] as number
        bytes[block + at] = [0, 0x80, 0xff, 0x2d, 0x30 + random(10), random(256)][random(6)] as number
        if (bytes.toString('latin1', block + 257, block + 262) === 'ustar') seal(bytes, block)
      }
      writeFileSync(archive(), bytes)
      const members = await readTar(archive()).catch((error: { code?: string }) => error.code)
      if (typeof members === 'string' || members === undefined) {
        expect(members, bytes.toString('base64')).toBe('disk-unreadable')
        outcomes.refused += 1
        continue
      }
      outcomes.read += 1
      for (const { offset, sizeBytes } of members) {
        expect(offset).toBeGreaterThanOrEqual(0)
        expect(sizeBytes).toBeGreaterThanOrEqual(0)
        expect(offset + sizeBytes).toBeLessThanOrEqual(bytes.length)
      }
    }
    expect(Math.min(outcomes.read, outcomes.refused)).toBeGreaterThan(100)
  })

  it('of more than 8 GiB has its next file where it is', async () => {
    const size = 9 * 1024 ** 3
    write(header({ size: base256([0x80, 2, 0x40, 0, 0, 0]) }))
    truncateSync(archive(), tarBlockBytes + size)
    writeFileSync(archive(), Buffer.concat([header({ name: 'next' }), content('hello')]), { flag: 'a' })
    expect(await readTar(archive())).toEqual([
      { name: 'a', offset: 512, sizeBytes: size },
      { name: 'next', offset: 1024 + size, sizeBytes: 5 },
    ])
  })
})

describeWith(['tar'], "tar's own archives", () => {
  const long = `${'folder/'.repeat(20)}${'n'.repeat(120)}.vmdk`

  it.each(['ustar', 'gnu', 'pax', 'posix'])(
    'in the format %s are read as they were written',
    async (format) => {
      const names = ['a.ovf', `${'folder/'.repeat(20)}b`, ...(format === 'ustar' ? [] : [long]), 'ä.mf']
      mkdirSync(path('tree', 'folder/'.repeat(20)), { recursive: true })
      for (const name of names) writeFileSync(path('tree', name), `the content of ${name}`)
      writeFileSync(path('tree', 'empty'), '')
      symlinkSync('a.ovf', path('tree', 'link'))
      mkdirSync(path('tree', 'none'))
      // A file that is packed twice is a hard link the second time.
      const again = format === 'ustar' ? ['a.ovf'] : [long]
      const words = [`--format=${format}`, '-C', path('tree'), '-cf', archive()]
      execFileSync('tar', [...words, 'link', 'none', ...names, 'empty', ...again])
      const members = await readTar(archive())
      for (const name of names) {
        const member = members.find((one) => one.name === name) as TarMember
        expect(await readMember(archive(), member)).toBe(`the content of ${name}`)
        const sum = createHash('sha256')
          .update(readFileSync(path('tree', name)))
          .digest('hex')
        expect(await hashMember(archive(), member, 'sha256', never)).toBe(sum)
      }
      const empty = members.find(({ name }) => name === 'empty') as TarMember
      expect(await hashMember(archive(), empty, 'md5', never)).toBe('d41d8cd98f00b204e9800998ecf8427e')
      expect(members.map(({ name }) => name)).toEqual([...names, 'empty', ...again])
      expect(members.at(-1)).toEqual(members.find(({ name }) => name === again[0]))
    },
  )

  it.each(['gnu', 'pax'])('in the format %s with a sparse file are refused', async (format) => {
    writeFileSync(path('hole'), '')
    truncateSync(path('hole'), 1 << 20)
    writeFileSync(path('hole'), 'end', { flag: 'a' })
    execFileSync('tar', [`--format=${format}`, '--sparse', '-C', path(), '-cf', archive(), 'hole'])
    await expect(readTar(archive())).rejects.toThrow('sparse file')
  })
})
