/** A release of a small appliance is built again, under other circumstances, and has the same files. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { plainWay, runIn, strangeWay, sumsIn, withoutNetwork } from '../support/two-builds.ts'
import { systemvmImage } from './program.ts'

const fixture = fileURLToPath(new URL('../fixtures/twice/pipeline.ts', import.meta.url))

let folder: string
let pipeline: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
  // A checkout of its own, which is clean whatever is being edited here.
  const checkout = join(folder, 'checkout')
  const git = (...words: string[]) =>
    execa('git', ['-C', checkout, '-c', 'user.name=Tester', '-c', 'user.email=tester@example.org', ...words])
  await execa('git', ['init', '--quiet', checkout])
  pipeline = join(checkout, 'pipeline.ts')
  await writeFile(pipeline, `export { default } from ${JSON.stringify(fixture)}\n`)
  await git('add', '.')
  await git('commit', '--quiet', '--message', 'A pipeline')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('a release is the same, file by file, in another folder, time zone and language, with other resources and no mirror', async () => {
  const [first, second] = [plainWay(folder), withoutNetwork(strangeWay(folder))]
  const built = await runIn(first, ['build', '--pipeline', pipeline, '--no-verify'])
  expect(built.exitCode, built.stderr).toBe(0)
  const allow = ['unverified', 'outdated', 'unchecked'].flatMap((kind) => ['--allow', kind])
  const released = await runIn(first, ['release', '--pipeline', pipeline, '--with-packages', ...allow])
  expect(released.exitCode, released.stderr).toBe(0)
  const release = released.stdout.trim()

  const key = join(folder, 'rebuilder')
  await execa('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  const rebuilt = await runIn(second, ['reproduce', release, '--pipeline', pipeline, '--sign', key])
  expect(rebuilt.stdout.match(/ identical /g), rebuilt.stdout + rebuilt.stderr).toHaveLength(4)
  expect(rebuilt.exitCode, rebuilt.stderr).toBe(0)
  expect(await sumsIn(second)).toEqual(await sumsIn(first))
  const statement = JSON.parse(await readFile(join(second.outFolder, 'rebuild.intoto.json'), 'utf8'))
  expect(statement.predicate.isIdentical).toBe(true)
  expect(statement.subject).toHaveLength(4)

  await writeFile(join(folder, 'rebuilders'), `rebuilder@example.org ${await readFile(`${key}.pub`, 'utf8')}`)
  const trust = ['--rebuilds', second.outFolder, '--rebuilders', join(folder, 'rebuilders')]
  const verified = await systemvmImage(['release', 'verify', release, ...trust, '--require-rebuilds', '1'])
  expect(verified.stderr).toContain('built again, with the same files, by rebuilder@example.org')
  expect(verified.exitCode, verified.stderr).toBe(0)
})
