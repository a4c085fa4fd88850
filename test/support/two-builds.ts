/** Two ways to run the program, as different from each other as one host allows. */

import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { execa } from 'execa'
import { sha256File } from '../../src/host/hash-file.ts'
import { program, readReport } from '../e2e/program.ts'

export interface Way {
  readonly outFolder: string
  readonly umask: string
  readonly env: Readonly<Record<string, string>>
  /** Words before the program's own. */
  readonly prefix: readonly string[]
  /** Options that must not change the result. */
  readonly options: readonly string[]
}

export function plainWay(folder: string): Way {
  return {
    outFolder: join(folder, 'one'),
    umask: '022',
    env: { TZ: 'UTC', LANG: 'C.UTF-8' },
    prefix: [],
    options: [],
  }
}

/** Another path, umask, home, time zone and language, with one processor and less memory. */
export function strangeWay(folder: string): Way {
  return {
    outFolder: join(folder, 'another folder', 'with a longer name'),
    umask: '077',
    env: { TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8', HOME: folder },
    prefix: ['taskset', '--cpu-list', '0'],
    options: ['--set', 'machine.cpus=1', '--set', 'machine.memoryMiB=900'],
  }
}

/** The same without access to any server: root has no network at all, anyone else has a proxy that refuses. */
export function withoutNetwork(way: Way): Way {
  if (process.getuid?.() !== 0) return { ...way, env: { ...way.env, http_proxy: 'http://127.0.0.1:9' } }
  const alone = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  return { ...way, prefix: [...alone, ...way.prefix] }
}

/** Runs the program with a time limit; a non-zero exit is a result, not an error. */
export async function runIn({ outFolder, umask, env, prefix, options }: Way, words: readonly string[]) {
  await mkdir(dirname(outFolder), { recursive: true })
  const command = [...prefix, process.execPath, program, ...words, '--out', outFolder, ...options]
  return execa('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...command], {
    reject: false,
    timeout: 3_600_000,
    env: { CI: '1', ...env },
  })
}

/** The sha256 of each image of the last run, by its path in the output folder. */
export async function sumsIn({ outFolder }: Way): Promise<Readonly<Record<string, string>>> {
  const { images } = await readReport(outFolder)
  const sums = images.map(async ({ path }) => [path, await sha256File(join(outFolder, path))] as const)
  return Object.fromEntries(await Promise.all(sums))
}
