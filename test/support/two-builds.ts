/** Two builds from nothing, each as unlike the other as one host allows. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect } from 'vitest'
import { sha256File } from '../../src/host/hash-file.ts'
import { program, readReport } from '../e2e/program.ts'

/** The sha256 of each file, by its path in the output folder. */
export type Sums = Readonly<Record<string, string>>

interface Way {
  readonly outFolder: string
  readonly umask: string
  readonly env: Readonly<Record<string, string>>
  /** Words before the program's own. */
  readonly prefix?: readonly string[]
  readonly more?: readonly string[]
}

/**
 * Builds in two folders below `folder`: the second time with another path, user's mask, home, time zone and language, with one
 * processor and less memory.
 * @param words arguments of `build`
 */
export async function buildTwice(
  folder: string,
  words: readonly string[],
  limitSeconds: number,
): Promise<readonly [Sums, Sums]> {
  const one = await build(words, limitSeconds, {
    outFolder: join(folder, 'one'),
    umask: '022',
    env: { TZ: 'UTC', LANG: 'C.UTF-8' },
  })
  const other = await build(words, limitSeconds, {
    outFolder: join(folder, 'another folder', 'with a longer name'),
    umask: '077',
    env: { TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', HOME: folder },
    prefix: ['taskset', '--cpu-list', '0'],
    more: ['--set', 'machine.cpus=1', '--set', 'machine.memoryMiB=900'],
  })
  return [one, other]
}

// --- internal ---

async function build(
  words: readonly string[],
  limitSeconds: number,
  { outFolder, umask, env, prefix = [], more = [] }: Way,
): Promise<Sums> {
  await mkdir(outFolder, { recursive: true })
  const command = [...prefix, process.execPath, program, 'build', '--no-verify', '--out', outFolder]
  const result = await execa('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...command, ...words, ...more], {
    reject: false,
    timeout: limitSeconds * 1000,
    env: { CI: '1', ...env },
  })
  expect(result.exitCode, result.stderr).toBe(0)
  const { images } = await readReport(outFolder)
  const sums = images.map(async ({ path }) => [path, await sha256File(join(outFolder, path))] as const)
  return Object.fromEntries(await Promise.all(sums))
}
