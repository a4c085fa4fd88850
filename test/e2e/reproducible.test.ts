/** A release of a small appliance is built again, under other circumstances, and has the same files. */

import { appendFileSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { debianArchives } from '../../src/config/image.ts'
import { packagesFolder, type ReleaseRecord, releaseFiles } from '../../src/release/record.ts'
import { exchangePackage, makeArchiveKey } from '../support/exchanged-package.ts'
import {
  plainWay,
  runIn,
  type StrangeWay,
  strangeness,
  strangeWay,
  sumsIn,
  type Way,
  withoutNetwork,
} from '../support/two-builds.ts'
import { systemvmImage } from './program.ts'

const fixture = fileURLToPath(new URL('../fixtures/twice/pipeline.ts', import.meta.url))

let folder: string
let pipeline: string
/** Home of a key that signs archives, besides Debian's own. */
let archiveKey: string
let settings: readonly string[]
/** The way of the first build, and the folder of its release. */
let first: Way
let release: string
let strange: StrangeWay
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
  // apt reads the keyring as another user.
  await chmod(folder, 0o755)
  archiveKey = join(folder, 'archive')
  await mkdir(archiveKey, { mode: 0o700 })
  const keyring = join(folder, 'keyring.gpg')
  makeArchiveKey(archiveKey, keyring, debianArchives.keyring)
  settings = ['--set', `mirror.keyring=${keyring}`]
  // A checkout of its own, which is clean whatever is being edited here.
  const checkout = join(folder, 'checkout')
  const git = (...words: string[]) =>
    execa('git', ['-C', checkout, '-c', 'user.name=Tester', '-c', 'user.email=tester@example.org', ...words])
  await execa('git', ['init', '--quiet', checkout])
  pipeline = join(checkout, 'pipeline.ts')
  await writeFile(pipeline, `export { default } from ${JSON.stringify(fixture)}\n`)
  await git('add', '.')
  await git('commit', '--quiet', '--message', 'A pipeline')

  strange = await strangeWay(folder)
  first = plainWay(folder)
  const built = await runIn(first, ['build', '--pipeline', pipeline, '--no-verify', ...settings])
  expect(built.exitCode, built.stderr).toBe(0)
  const allow = ['unverified', 'outdated', 'unchecked'].flatMap((kind) => ['--allow', kind])
  const released = await runIn(first, [
    ...['release', '--pipeline', pipeline, '--with-packages'],
    ...[...allow, ...settings],
  ])
  expect(released.exitCode, released.stderr).toBe(0)
  release = released.stdout.trim()
})
afterAll(async () => {
  await strange?.end()
  await rm(folder, { recursive: true, force: true })
})

// Side by side: an emulated guest has one thread, and one of the two builds is held to one processor.
it.concurrent(`a release is the same, file by file, without a mirror and with another ${strangeness}`, async ({
  expect,
}) => {
  const second = withoutNetwork(strange)
  const key = join(folder, 'rebuilder')
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  const rebuilt = await runIn(second, [
    ...['reproduce', release, '--pipeline', pipeline, '--sign', key],
    ...settings,
  ])
  expect(rebuilt.stdout.match(/ identical /g), rebuilt.stdout + rebuilt.stderr).toHaveLength(4)
  expect(rebuilt.exitCode, rebuilt.stderr).toBe(0)
  expect(await sumsIn(second)).toEqual(await sumsIn(first))
  const statement = JSON.parse(await readFile(join(second.outFolder, 'rebuild.intoto.json'), 'utf8'))
  expect(statement.predicate.isIdentical).toBe(true)
  expect(statement.subject).toHaveLength(4)

  await writeFile(join(folder, 'rebuilders'), `rebuilder@example.org ${await readFile(`${key}.pub`, 'utf8')}`)
  const trust = ['--rebuilds', second.outFolder, '--rebuilders', join(folder, 'rebuilders')]
  const verified = await systemvmImage(['release', 'verify', release, ...trust, '--require-rebuilds', '1'])
  expect(verified.stderr).toContain('rebuilt identically by rebuilder@example.org')
  expect(verified.exitCode, verified.stderr).toBe(0)
})

it.concurrent('a release whose package set has another file in the place of a package is found out, down to the path and the layer', async ({
  expect,
}) => {
  const exchanged = join(folder, 'exchanged')
  await cp(release, exchanged, { recursive: true })
  const packageSet = exchangePackage(join(exchanged, packagesFolder), archiveKey, 'gzip', (tree) =>
    appendFileSync(join(tree, 'usr/bin/zless'), '# and what nobody has read\n'),
  )
  const file = join(exchanged, releaseFiles.record)
  const record: ReleaseRecord = JSON.parse(await readFile(file, 'utf8'))
  const variants = record.variants.map((one) => ({
    ...one,
    files: one.files.filter(({ target }) => target === 'raw'),
  }))
  await writeFile(file, JSON.stringify({ ...record, packageSet, variants }))

  const way = withoutNetwork({ ...plainWay(folder), outFolder: join(folder, 'three') })
  const rebuilt = await runIn(way, ['reproduce', exchanged, '--pipeline', pipeline, ...settings])
  expect(rebuilt.stdout, rebuilt.stderr).toMatch(/twice-.*\.raw +differs/)
  expect(rebuilt.stdout).toMatch(/First changed in layer base: 1 path\n {2}\/usr\/bin\/zless$/)
  expect(rebuilt.exitCode).toBe(4)
})
