/** Sums of image files, and `md5sum.txt`, `sha256sum.txt`, `sha512sum.txt` in GNU format beside them. */

import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { writeDurably } from '../host/files.ts'

/** Those that CloudStack's registration and its users ask for. */
export const algorithms = ['md5', 'sha256', 'sha512'] as const

export type Checksums = Readonly<Record<(typeof algorithms)[number], string>>

/** Reads a file once. In a thread, with Node's own digests: coreutils' take three times as long for sha256. */
export async function computeChecksums(file: string, signal: AbortSignal): Promise<Checksums> {
  const worker = new Worker(new URL('./hash-worker.js', import.meta.url), {
    workerData: { file, algorithms },
  })
  try {
    const [sums] = (await once(worker, 'message', { signal })) as [Checksums]
    return sums
  } finally {
    await worker.terminate()
  }
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

/** Whether the folder's lists have a file's sums. */
export async function hasChecksums(file: string, sums: Checksums): Promise<boolean> {
  for (const algorithm of algorithms) {
    const list = await readFile(join(file, '..', `${algorithm}sum.txt`), 'utf8').catch(() => '')
    if (parseSums(list).get(basename(file)) !== sums[algorithm]) return false
  }
  return true
}

/** Sums by file name, as `sha256sum` and its like list them. */
export function parseSums(text: string): Map<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const match = /^([0-9a-f]+) [ *](.+)$/.exec(line)
      return match?.[1] === undefined || match[2] === undefined ? [] : [[match[2], match[1]] as const]
    }),
  )
}
