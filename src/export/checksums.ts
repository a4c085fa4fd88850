/** Sums of image files, and `md5sum.txt`, `sha256sum.txt`, `sha512sum.txt` in GNU format beside them. */

import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { writeDurably } from '../host/files.ts'

/** Those that CloudStack's registration and its users ask for. */
export const algorithms = ['md5', 'sha256', 'sha512'] as const

export type Checksums = Readonly<Record<(typeof algorithms)[number], string>>

/** Reads a file once per sum, by coreutils' own programs: they run beside each other, and beside us. */
export async function computeChecksums(file: string, signal: AbortSignal): Promise<Checksums> {
  const sums = await Promise.all(
    algorithms.map(async (algorithm) => {
      // From stdin, or a backslash in the name would change the form of the line.
      const { stdout } = await execa(`${algorithm}sum`, { inputFile: file, cancelSignal: signal })
      return [algorithm, stdout.split(' ')[0] ?? ''] as const
    }),
  )
  return Object.fromEntries(sums) as Checksums
}

/** Adds a file's sums to those of its folder, and drops lines of files that are not there any more. */
export async function writeChecksums(file: string, sums: Checksums): Promise<void> {
  const folder = join(file, '..')
  const present = new Set(await readdir(folder))
  for (const algorithm of algorithms) {
    const path = join(folder, `${algorithm}sum.txt`)
    const lines = parseSums(await readFile(path, 'utf8').catch(() => ''))
    lines.set(basename(file), sums[algorithm])
    const kept = [...lines].filter(([name]) => present.has(name)).sort(([a], [b]) => (a < b ? -1 : 1))
    await writeDurably(path, kept.map(([name, sum]) => `${sum}  ${name}\n`).join(''))
  }
}

function parseSums(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const match = /^([0-9a-f]+) [ *](.+)$/.exec(line)
      return match?.[1] === undefined || match[2] === undefined ? [] : [[match[2], match[1]] as const]
    }),
  )
}
