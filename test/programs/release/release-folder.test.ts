/** A release replaces a release, and nothing else. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { beforeEach, describe, expect, it, vi } from 'vitest'
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

  it('is on the disk with all its files before the one before goes', async () => {
    writeRelease('release', 'old')
    const file = await open(path('release', 'a.qcow2'))
    const handles: FileHandle = Object.getPrototypeOf(file)
    await file.close()
    const flushed: string[] = []
    const sync = vi.spyOn(handles, 'sync').mockImplementation(async function (this: FileHandle) {
      const name = readlinkSync(`/proc/self/fd/${this.fd}`).replace(/release\.[^/]*\.tmp/, 'staging')
      flushed.push(
        `${name.slice(path().length + 1)} ${readdirSync(path()).some(isFormer) ? 'after' : 'before'}`,
      )
    })
    try {
      await makeReleaseFolder(path('release'), async (staging) => {
        mkdirSync(`${staging}/packages`)
        writeFileSync(`${staging}/packages/a.deb`, '')
        return fill('new')(staging)
      })
    } finally {
      sync.mockRestore()
    }
    const texts = ['staging/a.qcow2', 'staging/packages/a.deb', 'staging/release.json']
    const folders = ['staging', 'staging/packages']
    expect(flushed.sort()).toEqual(
      [...[...texts, ...folders].map((name) => `${name} before`), ' after'].sort(),
    )
  })
})

const isFormer = (name: string) => name.startsWith('release.before-')

// Larger than any pid on Linux.
const dead = 2 ** 22 + 1
const former = `release.before-${dead}-0badc0ffee00`

describe('after a run that was killed, a release', () => {
  it('is made as ever, and what was left unfinished is gone', async () => {
    const kept = [`release.${process.pid}-0badcafe.tmp`, `thesis.${dead}-0badcafe.tmp`, 'release.tmp']
    for (const name of [`release.${dead}-0badcafe.tmp`, ...kept]) {
      mkdirSync(path(name))
      writeFileSync(path(name, 'a.qcow2'), '')
    }
    await replace()
    expect(readdirSync(path()).sort()).toEqual(['others', 'release', ...kept].sort())
  })

  it('has its name again if that was between the two renames', async () => {
    writeRelease(former, 'old')
    const failing = makeReleaseFolder(path('release'), async () => {
      throw new Error('no room')
    })
    await expect(failing).rejects.toThrow('no room')
    expect(readdirSync(path()).sort()).toEqual(['others', 'release'])
    expect(readFileSync(path('release', 'a.qcow2'), 'utf8')).toBe('old')
  })

  it.each([0, 1, 4])('is made, and the one before goes, of which %i files were gone', async (count) => {
    writeRelease(former, 'old')
    writeRelease('release', 'two')
    for (const name of ['RELEASE_NOTES.md', 'a.cdx.json', 'a.qcow2', 'metadata.ini'].slice(0, count))
      rmSync(path(former, name))
    await replace()
    expect(readdirSync(path()).sort()).toEqual(['others', 'release'])
  })

  it('leaves the one before if it has other files, or its run goes on', async () => {
    writeRelease(former, 'old')
    writeFileSync(path(former, 'thesis.tex'), 'mine')
    const running = `release.before-${process.pid}-0badc0ffee00`
    writeRelease(running, 'old')
    await replace()
    expect(readdirSync(path(former))).toHaveLength(7)
    expect(readdirSync(path(running))).toHaveLength(6)
  })
})
