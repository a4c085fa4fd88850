/** Two builds from nothing, each as unlike the other as one host allows, make the same files. */

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sha256File } from '../../src/host/hash-file.ts'
import { program, readReport } from './program.ts'

const pipeline = fileURLToPath(new URL('../fixtures/twice/pipeline.ts', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

interface Way {
  readonly outFolder: string
  readonly umask: string
  readonly env: Readonly<Record<string, string>>
  /** Words before the program's own. */
  readonly prefix?: readonly string[]
  readonly more?: readonly string[]
}

/** Builds from nothing; the sha256 of each file by its name. */
async function build({ outFolder, umask, env, prefix = [], more = [] }: Way) {
  await mkdir(outFolder, { recursive: true })
  const words = [...prefix, process.execPath, program, 'build', '--pipeline', pipeline, '--out', outFolder]
  const result = await execa(
    'sh',
    ['-c', `umask ${umask}; exec "$@"`, 'sh', ...words, '--no-verify', ...more],
    {
      reject: false,
      timeout: 1_200_000,
      env: { CI: '1', ...env },
    },
  )
  expect(result.exitCode, result.stderr).toBe(0)
  const { images } = await readReport(outFolder)
  const sums = await Promise.all(
    images.map(async ({ path }) => [path, await sha256File(join(outFolder, path))]),
  )
  return {
    sums: Object.fromEntries(sums) as Record<string, string>,
    names: await readdir(join(outFolder, 'images')),
  }
}

it('makes the same files in another folder, time zone and language, with one processor and less memory', async () => {
  const one = await build({
    outFolder: join(folder, 'one'),
    umask: '022',
    env: { TZ: 'UTC', LANG: 'C.UTF-8' },
  })
  const other = await build({
    outFolder: join(folder, 'another folder', 'with a longer name'),
    umask: '077',
    env: { TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', HOME: folder },
    prefix: ['taskset', '--cpu-list', '0'],
    more: ['--set', 'machine.cpus=1', '--set', 'machine.memoryMiB=800'],
  })
  expect(Object.keys(one.sums)).toHaveLength(6)
  expect(other.sums).toEqual(one.sums)
  expect(other.names.sort()).toEqual(one.names.sort())
})
