/** `sha256sum.txt` and `sha512sum.txt` in GNU format: one line for each image in the folder. */

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { writeDurably } from '../host/files.ts'

/** Adds a file's sums to those of its folder, and drops lines of files that are not there any more. */
export async function writeChecksums(
  folder: string,
  name: string,
  sums: { readonly sha256: string; readonly sha512: string },
): Promise<void> {
  const present = new Set(await readdir(folder))
  for (const algorithm of ['sha256', 'sha512'] as const) {
    const path = join(folder, `${algorithm}sum.txt`)
    const lines = parseSums(await readFile(path, 'utf8').catch(() => ''))
    lines.set(name, sums[algorithm])
    const kept = [...lines].filter(([file]) => present.has(file)).sort(([a], [b]) => (a < b ? -1 : 1))
    await writeDurably(path, kept.map(([file, sum]) => `${sum}  ${file}\n`).join(''))
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
