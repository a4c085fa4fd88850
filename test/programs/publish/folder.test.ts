/** `publish` to a folder: its layout, what is left alone, what an interruption leaves, and what is refused. */

import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { folderDestination } from '../../../src/publish/folder.ts'
import { planPublishing, publish } from '../../../src/publish/publish.ts'
import { readReleaseFiles } from '../../../src/publish/release-files.ts'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { bytesOf, faultsOf, writeRelease } from '../../support/release-to-publish.ts'

const path = useFolder()
const never = new AbortController().signal
const mebibyte = 1024 ** 2
const image = 'systemvmtemplate-4.22.0-bookworm-kvm.qcow2'
const published = (...names: string[]) => path('www', '4.22', ...names)

const bring = (...words: string[]) => runHere('publish', path('release'), '--to', path('www'), ...words)

function filesIn(folder: string): ReadonlyMap<string, Buffer> {
  if (!existsSync(folder)) return new Map()
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`)]))
}

/** Comparing bytes one by one would take minutes. */
function digestsIn(folder: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...filesIn(folder)].map(([name, bytes]) => [name, sha256(bytes)]))
}

describe('publish to a folder', () => {
  it('puts every file into the folder of its series', async () => {
    const names = await writeRelease(path('release'), { signature: 'signed' })
    const { exitCode, stderr } = await bring()
    expect(exitCode, stderr).toBe(0)
    expect([...filesIn(published()).keys()].sort()).toEqual([...names].sort())
    expect(digestsIn(published())).toEqual(digestsIn(path('release')))
    expect(stderr).toMatch(/✔ 9 files, .* sent: .*\/www\/4\.22\n$/)
  })

  it('brings the package set of a release with it, and takes it away with the release', async () => {
    const inSet = 'packages/openssl_3.5.1-1_amd64.deb'
    await writeRelease(path('release'), {
      images: { [image]: bytesOf('kvm', 100), [inSet]: bytesOf('deb', 50) },
    })
    const { exitCode, stderr } = await bring()
    expect(exitCode, stderr).toBe(0)
    expect(readFileSync(published(inSet)).equals(bytesOf('deb', 50))).toBe(true)
    rmSync(path('release'), { recursive: true })
    await writeRelease(path('release'), { images: { [image]: bytesOf('another', 100) } })
    const replaced = await bring('--replace')
    expect(replaced.exitCode, replaced.stderr).toBe(0)
    expect(existsSync(published(inSet))).toBe(false)
  })

  it('sends nothing again that is there', async () => {
    await writeRelease(path('release'))
    await bring()
    const before = statSync(published(image)).ino
    const { exitCode, stdout, stderr } = await bring('--json')
    expect(exitCode, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ sentBytes: 0, dryRun: false })
    expect(stderr).toContain('0 files, 0 B, sent, 8 already there')
    expect(statSync(published(image)).ino).toBe(before)
  })

  it('says with --dry-run what it would send, and changes nothing', async () => {
    await writeRelease(path('release'))
    const { exitCode, stdout } = await bring('--dry-run')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(new RegExp(`^send +100 B +${image}$`, 'm'))
    expect(existsSync(path('www'))).toBe(false)
  })

  it('says where metadata.ini leads nowhere', async () => {
    const metadata = '[default]\ndownloadrepository = http://systemvm.invalid\n'
    await writeRelease(path('release'), { metadata })
    expect((await bring('--dry-run')).stderr).toContain('metadata.ini names no address to download from')
  })

  it('writes and removes nothing where a link leads in the place of its series', async () => {
    await writeRelease(path('release'))
    mkdirSync(path('www'))
    mkdirSync(path('home'))
    writeFileSync(path('home', 'important.txt'), 'of another')
    writeFileSync(path('home', 'sha512sum.txt'), `${'0'.repeat(128)}  important.txt\n`)
    symlinkSync(path('home'), published())
    const before = digestsIn(path('home'))
    const { exitCode, stderr } = await bring('--replace')
    expect(exitCode).toBe(2)
    expect(stderr).toContain(`${published()} is in the way: it is not a folder of its own`)
    expect(digestsIn(path('home'))).toEqual(before)
  })

  it('says which of the lists that are there is too large to be one', async () => {
    await writeRelease(path('release'))
    mkdirSync(published(), { recursive: true })
    writeFileSync(published('release.json'), Buffer.alloc(5 * mebibyte, ' '))
    writeFileSync(published('sha512sum.txt'), Buffer.alloc(5 * mebibyte, ' '))
    const { exitCode, stderr } = await bring('--replace')
    expect(exitCode, stderr).toBe(2)
    expect(stderr).toContain(' is in the way: it has more than ')
  })

  it('refuses to mix two releases, and replaces one by another if asked', async () => {
    await writeRelease(path('release'), {
      images: { [image]: bytesOf('other', 100), 'old.qcow2': bytesOf('old', 5) },
      signature: 'of the other',
    })
    await bring()
    rmSync(path('release'), { recursive: true })
    await writeRelease(path('release'))
    writeFileSync(published('theirs'), 'not of a release')
    const before = digestsIn(published())
    const refused = await bring()
    expect(refused.exitCode).toBe(2)
    expect(refused.stderr).toMatch(/has \d+ other files under the names of this release: .*--replace/s)
    expect(digestsIn(published())).toEqual(before)
    const dry = await bring('--replace', '--dry-run')
    expect(dry.stdout).toMatch(/^remove +0 B +old\.qcow2$/m)
    expect(digestsIn(published())).toEqual(before)
    expect((await bring('--replace')).exitCode).toBe(0)
    expect(readFileSync(published('theirs'), 'utf8')).toBe('not of a release')
    rmSync(published('theirs'))
    expect(digestsIn(published())).toEqual(digestsIn(path('release')))
  })

  it('never shows a reader half of a release, also while another one takes its place', async () => {
    await writeRelease(path('one'), {
      images: { [image]: bytesOf('one', 5 * mebibyte), 'b.qcow2': bytesOf('b', 9) },
    })
    await writeRelease(path('two'), {
      images: { [image]: bytesOf('two', 5 * mebibyte) },
      signature: 'signed',
    })
    const seen: string[] = []
    const look = () => {
      const files = new Map([...filesIn(published())].filter(([name]) => !name.endsWith('.part')))
      seen.push(...faultsOf(files))
    }
    for (const name of ['one', 'two', 'one']) {
      const { files } = await readReleaseFiles(path(name), () => undefined, never)
      const real = folderDestination(published())
      const remove = async (file: string) => {
        const isThere = existsSync(published(file))
        await real.remove(file, never)
        if (isThere) look()
      }
      const destination = { ...real, remove }
      const plan = await planPublishing(files, destination, true, never)
      await publish(plan, files, destination, { onStep: () => undefined, onDone: look }, never)
      expect(digestsIn(published())).toEqual(digestsIn(path(name)))
    }
    expect(seen).toEqual([])
  })

  it('goes on with a copy that was interrupted', async () => {
    const bytes = bytesOf('large', 20 * mebibyte)
    await writeRelease(path('release'), { images: { [image]: bytes } })
    const [file] = (await readReleaseFiles(path('release'), () => undefined, never)).files.filter(
      ({ name }) => name === image,
    )
    if (file === undefined) throw new Error('no image')
    const stopping = new AbortController()
    const destination = folderDestination(published())
    const stop = (doneBytes: number) => {
      if (doneBytes >= 8 * mebibyte) stopping.abort(new Error('stopped'))
    }
    await expect(destination.put(file, stop, stopping.signal)).rejects.toThrow('stopped')
    expect(existsSync(published(image))).toBe(false)
    const sent: number[] = []
    await destination.put(file, (_done, sentBytes) => sent.push(sentBytes), never)
    expect(sent.at(-1)).toBe(12 * mebibyte)
    expect(readFileSync(published(image)).equals(bytes)).toBe(true)
    expect(existsSync(published(`${image}.part`))).toBe(false)
  })

  it('takes nothing else for the beginning of a file, and writes through no link', async () => {
    const names = await writeRelease(path('release'))
    mkdirSync(published(), { recursive: true })
    writeFileSync(path('theirs'), 'theirs')
    symlinkSync(path('theirs'), published(`${image}.part`))
    writeFileSync(published('metadata.ini.part'), 'something longer than the file, or with another beginning')
    const { exitCode, stderr } = await bring()
    expect(exitCode, stderr).toBe(0)
    expect(readFileSync(path('theirs'), 'utf8')).toBe('theirs')
    expect([...filesIn(published()).keys()].sort()).toEqual([...names].sort())
    expect(digestsIn(published())).toEqual(digestsIn(path('release')))
  })

  it.each([
    ['a folder with files where a file goes', image, () => mkdirSync(published(image))],
    ['a folder with files where a copy begins', `${image}.part`, () => mkdirSync(published(`${image}.part`))],
    [
      'a link where the package set goes',
      'packages',
      () => symlinkSync(path('theirs'), published('packages')),
    ],
    ['a file where the package set goes', 'packages', () => writeFileSync(published('packages'), '')],
  ])('removes and writes nothing in %s, and says what is in the way', async (_what, name, make) => {
    const packages = { 'packages/packages.json': Buffer.from('{}') }
    await writeRelease(path('release'), { images: { [image]: bytesOf('kvm', 100), ...packages } })
    mkdirSync(published(), { recursive: true })
    mkdirSync(path('theirs'))
    make()
    if (statSync(published(name)).isDirectory()) writeFileSync(published(name, 'theirs'), 'theirs')
    const listing = () =>
      [path('www'), path('theirs')].map((folder) => readdirSync(folder, { recursive: true }))
    const before = listing()
    for (const more of [[], ['--replace']]) {
      const { exitCode, stderr } = await bring(...more)
      expect(exitCode, stderr).toBe(2)
      expect(stderr).toMatch(`${published(name)} is in the way`)
    }
    expect(listing()).toEqual(before)
  })

  it.each([
    [
      'a changed image',
      () => writeFileSync(path('release', image), bytesOf('changed', 100)),
      /is not what sha256sum\.txt lists/,
    ],
    [
      'a shorter image',
      () => truncateSync(path('release', image), 50),
      /has 50 bytes, but 100 according to the record/,
    ],
    ['another file', () => writeFileSync(path('release', 'more'), ''), /it also has more/],
    ['a folder', () => mkdirSync(path('release', 'more')), /it also has more/],
    ['no list', () => writeFileSync(path('release', 'sha256sum.txt'), ''), /it also has/],
  ])('refuses a release with %s before it publishes anything', async (_what, damage, said) => {
    await writeRelease(path('release'))
    damage()
    const { exitCode, stderr } = await bring()
    expect(exitCode).toBe(4)
    expect(stderr).toMatch(said)
    expect(existsSync(path('www'))).toBe(false)
  })

  it('refuses a release whose number leads elsewhere', async () => {
    await writeRelease(path('release'), { release: '../../x' })
    const { exitCode, stderr } = await bring()
    expect(exitCode).toBe(4)
    expect(stderr).toContain('is not made of numbers')
  })

  it('is not published into itself', async () => {
    await writeRelease(path('release'))
    for (const within of [path('release'), path('release', 'www')]) {
      const { exitCode, stderr } = await runHere('publish', path('release'), '--to', within)
      expect(exitCode).toBe(2)
      expect(stderr).toContain('--to is inside the release itself')
    }
  })
})
