import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonicalJson, sha256, uuidFrom } from '../../../src/digest.ts'
import { hashFile, listTree, sha256File } from '../../../src/host/hash-file.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

describe('canonical JSON', () => {
  it('is the same for any order of keys, at every depth', () => {
    const one = canonicalJson({ b: [{ y: 1, x: 2 }], a: { d: null, c: true } })
    const other = canonicalJson({ a: { c: true, d: null }, b: [{ x: 2, y: 1 }] })
    expect(one).toBe(other)
    expect(JSON.parse(one)).toEqual({ a: { c: true, d: null }, b: [{ x: 2, y: 1 }] })
  })

  it.each([
    ['the order of a list', ['a', 'b'], ['b', 'a']],
    ['a text and a number', '1', 1],
    ['null and nothing', { a: null }, {}],
    ['an empty list and an empty object', [], {}],
    ['where one text ends and the next begins', ['ab', 'c'], ['a', 'bc']],
  ])('tells apart %s', (_case, one, other) => {
    expect(canonicalJson(one)).not.toBe(canonicalJson(other))
  })
})

describe('a file', () => {
  it('has the digests that coreutils compute', async () => {
    const bytes = Buffer.alloc(3 * 1024 * 1024 + 17, 'systemvm')
    writeFileSync(path('file'), bytes)
    const judged = (program: string) =>
      execFileSync(program, [path('file')], { encoding: 'utf8' }).split(' ')[0]
    expect(await hashFile(path('file'), undefined, ['sha256', 'sha512'])).toEqual({
      sha256: judged('sha256sum'),
      sha512: judged('sha512sum'),
    })
    expect(await sha256File(path('file'))).toBe(sha256(bytes))
  })

  it('ends with the signal, however long it is', async () => {
    writeFileSync(path('file'), '')
    truncateSync(path('file'), 2 ** 42)
    const stopping = new AbortController()
    const reason = new Error('interrupted')
    setTimeout(() => stopping.abort(reason), 50)
    await expect(sha256File(path('file'), stopping.signal)).rejects.toBe(reason)
    await expect(sha256File(path('file'), stopping.signal)).rejects.toBe(reason)
  })

  it.each(['fifo', 'device', 'folder'])('that is a %s is not waited for', async (kind) => {
    if (kind === 'fifo') execFileSync('mkfifo', [path(kind)])
    if (kind === 'device') symlinkSync('/dev/zero', path(kind))
    if (kind === 'folder') mkdirSync(path(kind))
    await expect(sha256File(path(kind))).rejects.toThrow(`${path(kind)} is not a file`)
  })

  it('that is missing is an error, not the digest of nothing', async () => {
    await expect(sha256File(path('none'))).rejects.toThrow('ENOENT')
  })
})

describe('a folder', () => {
  const make = (name: string) => {
    mkdirSync(path(name, 'etc', 'deep'), { recursive: true })
    writeFileSync(path(name, 'etc', 'deep', 'file'), 'content')
    writeFileSync(path(name, 'run.sh'), 'true\n')
    chmodSync(path(name, 'run.sh'), 0o755)
    symlinkSync('etc/deep/file', path(name, 'link'))
    return path(name)
  }

  it('is listed by relative path, mode, digest and the target of a link', async () => {
    expect(await listTree(make('a'))).toEqual({
      'etc/deep/file': `644 ${sha256('content')}`,
      'run.sh': `755 ${sha256('true\n')}`,
      link: 'link etc/deep/file',
    })
  })

  it('is the same in two checkouts, whatever their umask and dates', async () => {
    const [a, b] = [make('a'), make('b')]
    chmodSync(path('b', 'etc', 'deep', 'file'), 0o600)
    chmodSync(path('b', 'run.sh'), 0o700)
    expect(await listTree(b)).toEqual(await listTree(a))
  })

  it.each([
    ['content', () => writeFileSync(path('b', 'etc', 'deep', 'file'), 'Content')],
    ['execute bit', () => chmodSync(path('b', 'run.sh'), 0o644)],
    ['new file', () => writeFileSync(path('b', 'etc', 'new'), '')],
    ['empty folder', () => mkdirSync(path('b', 'etc', 'empty'))],
  ])('differs by one %s', async (_case, change) => {
    const [a, b] = [make('a'), make('b')]
    change()
    expect(await listTree(b)).not.toEqual(await listTree(a))
  })
})

describe('a UUID from a text', () => {
  it('has the shape of version 4, is stable, and differs from that of another text', () => {
    const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    const texts = Array.from({ length: 200 }, (_, index) => `disk ${index}`)
    for (const text of texts) expect(uuidFrom(text)).toMatch(shape)
    expect(new Set(texts.map(uuidFrom)).size).toBe(texts.length)
    // Pinned: a layer that was made with one engine has to be found by the next.
    expect(uuidFrom('disk 0')).toBe('cec68b42-ba99-4b9e-9b1a-31cedfc2fab1')
  })
})
