/** A release replaces a release, and nothing else. */

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
import { beforeEach, describe, expect, it } from 'vitest'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { makeReleaseFolder, requireReplaceable } from '../../../src/release/release-folder.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const record = (...files: string[]) => JSON.stringify(recordOf(files))
const sumOf = (text: string) => createHash('sha256').update(text).digest('hex')

function recordOf(files: readonly string[]): ReleaseRecord {
  const checksums = { md5: '0', sha256: '0', sha512: '0' }
  const disk = {
    target: 'kvm',
    format: 'qcow2',
    sizeBytes: 3,
    virtualSizeBytes: 1,
    madeFrom: '0',
    ...checksums,
  }
  const run = { id: 'run', startedAt: 'then', finishedAt: 'now', durationSeconds: 1, accelerator: null }
  const variant = {
    variant: 'a',
    suite: 'trixie',
    arch: 'x86_64',
    installer: 'bootstrap',
    sbom: 'a.cdx.json',
  }
  const built = { kernel: [], run, snapshot: null, lock: null, packages: {}, stages: [] }
  const described = files.map((file) => ({ ...disk, file, verification: null }))
  const head = { version: 1 as const, name: 'a', release: '1', tag: null, exceptions: [], source: null }
  return { ...head, variants: [{ ...variant, ...built, files: described }] }
}

/** A release with one image. */
function writeRelease(folder: string, content: string): void {
  mkdirSync(path(folder))
  const texts = new Map(
    ['a.qcow2', 'a.cdx.json', 'metadata.ini', 'RELEASE_NOTES.md'].map((name) => [name, content]),
  )
  texts.set('release.json', record('a.qcow2'))
  const list = [...texts].map(([name, text]) => `${sumOf(text)}  ${name}\n`).join('')
  for (const [name, text] of [...texts, ['sha256sum.txt', list] as const])
    writeFileSync(path(folder, name), text)
}

const fill = (content: string) => async (staging: string) => {
  for (const name of ['a.qcow2', 'release.json'])
    writeFileSync(`${staging}/${name}`, name === 'a.qcow2' ? content : record('a.qcow2'))
  return content
}
const replace = () => makeReleaseFolder(path('release'), fill('new'))
const refused = { code: 'not-a-release', exitCode: 2 }

beforeEach(() => mkdirSync(path('others')))

describe('a release', () => {
  it.each(['release', 'some/where/release'])('is made at %s, where nothing is', async (place) => {
    expect(await makeReleaseFolder(path(place), fill('new'))).toEqual({ result: 'new', kept: undefined })
    expect(readdirSync(path(place)).sort()).toEqual(['a.qcow2', 'release.json'])
  })

  it('replaces the one before, with all files that its record lists', async () => {
    writeRelease('release', 'old')
    await replace()
    expect(readdirSync(path('release')).sort()).toEqual(['a.qcow2', 'release.json'])
    expect(readFileSync(path('release', 'a.qcow2'), 'utf8')).toBe('new')
    expect(readdirSync(path()).sort()).toEqual(['others', 'release'])
  })

  it.each<[string, () => void]>([
    ['a file', () => writeFileSync(path('release', 'thesis.tex'), 'mine')],
    ['a folder', () => mkdirSync(path('release', 'photos'))],
    [
      'a link by the name of a file of it',
      () => {
        execFileSync('rm', [path('release', 'a.qcow2')])
        symlinkSync(path('others'), path('release', 'a.qcow2'))
      },
    ],
    [
      'a record that lists files elsewhere',
      () => writeFileSync(path('release', 'release.json'), record('../others', '/etc/passwd')),
    ],
    [
      'a file of a release that was changed since',
      () => writeFileSync(path('release', 'RELEASE_NOTES.md'), 'with a note of mine'),
    ],
    [
      'a list of other files',
      () => writeFileSync(path('release', 'md5sum.txt'), `${'0'.repeat(32)}  thesis.tex\n`),
    ],
    [
      'a whole record that lists files of the user, in no list',
      () => {
        writeFileSync(path('release', 'photos.tar'), 'mine')
        writeFileSync(path('release', 'release.json'), record('a.qcow2', 'photos.tar'))
      },
    ],
    ['a record that is none', () => writeFileSync(path('release', 'release.json'), '{"name": "of npm"}')],
  ])('does not replace one that also has %s', async (_, change) => {
    writeRelease('release', 'old')
    change()
    const before = readdirSync(path('release'), { recursive: true }).sort()
    await expect(requireReplaceable(path('release'))).rejects.toMatchObject(refused)
    await expect(replace()).rejects.toMatchObject(refused)
    expect(readdirSync(path('release'), { recursive: true }).sort()).toEqual(before)
    expect(readdirSync(path()).sort()).toEqual(['others', 'release'])
  })

  it('is read once, unless it has changed since', async () => {
    writeRelease('release', 'old')
    const image = path('release', 'a.qcow2')
    const sound = new Map<string, string>()
    const look = (content: string, seconds: number) => {
      writeFileSync(image, content)
      utimesSync(image, seconds, seconds)
      return requireReplaceable(path('release'), undefined, sound)
    }
    await look('old', 1000)
    await look('new', 1000)
    await expect(look('new', 2000)).rejects.toMatchObject(refused)
  })

  it('does not replace files of the user that a record of a stranger lists', async () => {
    mkdirSync(path('release'))
    const variants = [{ sbom: 'thesis.doc', files: [{ file: 'photos.tar' }] }]
    for (const name of ['thesis.doc', 'photos.tar']) writeFileSync(path('release', name), 'mine')
    writeFileSync(path('release', 'release.json'), JSON.stringify({ version: 1, variants }))
    await expect(replace()).rejects.toMatchObject(refused)
    expect(readdirSync(path('release'))).toHaveLength(3)
  })

  it('replaces no file and no link', async () => {
    writeRelease('elsewhere', 'old')
    symlinkSync(path('elsewhere'), path('release'))
    await expect(replace()).rejects.toMatchObject(refused)
    expect(readdirSync(path('elsewhere'))).toHaveLength(6)
  })

  it('leaves a folder with the name that unfinished ones once had', async () => {
    mkdirSync(path('release.partial'))
    writeFileSync(path('release.partial', 'mine'), '')
    await replace()
    expect(readdirSync(path('release.partial'))).toEqual(['mine'])
  })

  it('that cannot be finished leaves the one before as it was', async () => {
    writeRelease('release', 'old')
    const failing = makeReleaseFolder(path('release'), async (staging) => {
      await fill('new')(staging)
      throw new Error('no room')
    })
    await expect(failing).rejects.toThrow('no room')
    expect(readFileSync(path('release', 'a.qcow2'), 'utf8')).toBe('old')
    expect(readdirSync(path()).sort()).toEqual(['others', 'release'])
  })

  it('is given up when something else has come into the one before meanwhile', async () => {
    writeRelease('release', 'old')
    const late = async (staging: string) => {
      writeFileSync(path('release', 'late'), 'mine')
      return fill('new')(staging)
    }
    await expect(makeReleaseFolder(path('release'), late)).rejects.toMatchObject(refused)
    expect(existsSync(path('release', 'late'))).toBe(true)
    expect(readFileSync(path('release', 'a.qcow2'), 'utf8')).toBe('old')
  })
})
