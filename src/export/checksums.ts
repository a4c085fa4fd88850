/** Checksums of image files, and `md5sum.txt`, `sha256sum.txt`, and `sha512sum.txt` in GNU format next to them. */

import { createHash } from 'node:crypto'
import { on } from 'node:events'
import { stat } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import pLimit from 'p-limit'
import { openRawDisk, type RawDisk } from '../formats/raw-disk.ts'
import { parseChecksums, readChecksumList, renderChecksumList } from '../host/checksum-list.ts'
import { canAccess, writeDurably } from '../host/files.ts'
import { readRegular, readRegularText } from '../host/regular-file.ts'

/** The algorithms that CloudStack's registration and its users ask for. */
export const algorithms = ['md5', 'sha256', 'sha512'] as const

export type Checksums = Readonly<Record<Algorithm, string>>

type Algorithm = (typeof algorithms)[number]

/**
 * Computes a file's checksums in threads, with Node.js's own digests: coreutils take three times as long for sha256. Holes
 * count as zeros, but need not be read. Since holes make a file long, each checksum of a file with holes gets its own thread.
 */
export async function computeChecksums<Wanted extends Algorithm = Algorithm>(
  path: string,
  signal: AbortSignal,
  wanted: readonly Wanted[] = algorithms as readonly Algorithm[] as readonly Wanted[],
  onProgress: (fraction: number) => void = () => undefined,
): Promise<Readonly<Record<Wanted, string>>> {
  const { size, blocks } = await stat(path)
  // Starting a thread takes longer than reading the file.
  if (size < smallBytes) return digestsOf(await readRegular(path, smallBytes), wanted)
  const hasHoles = blocks * 512 < size
  const extents = hasHoles ? (await openRawDisk(path, signal)).extents : [{ start: 0, length: size }]
  const file = { path, sizeBytes: size, extents }
  const stopping = new AbortController()
  const either = AbortSignal.any([signal, stopping.signal])
  const groups = hasHoles ? wanted.map((algorithm) => [algorithm]) : [wanted]
  const done = groups.map(() => 0)
  const hash = (group: readonly Algorithm[], index: number) =>
    hashInThread(file, group, either, (bytes) => {
      done[index] = bytes
      onProgress(done.reduce((sum, each) => sum + each, 0) / (size * groups.length))
    })
  try {
    const checksums = await Promise.all(groups.map((group, index) => inTurn(hash, group, index)))
    return Object.assign({}, ...checksums)
  } finally {
    stopping.abort()
  }
}

const smallBytes = 2 ** 20

function digestsOf<Wanted extends Algorithm>(
  bytes: Buffer,
  wanted: readonly Wanted[],
): Readonly<Record<Wanted, string>> {
  const sums = wanted.map((algorithm) => [algorithm, createHash(algorithm).update(bytes).digest('hex')])
  return Object.fromEntries(sums)
}

async function hashInThread(
  file: RawDisk,
  wanted: readonly Algorithm[],
  signal: AbortSignal,
  onBytes: (done: number) => void,
): Promise<Readonly<Record<string, string>>> {
  const worker = new Worker(new URL('./hash-worker.js', import.meta.url), {
    workerData: { ...file, algorithms: wanted },
  })
  const ended = new AbortController()
  worker.once('exit', (code) =>
    ended.abort(new Error(`the thread that hashes ${file.path} ended with ${code}`)),
  )
  const either = AbortSignal.any([signal, ended.signal])
  try {
    for await (const [said] of on(worker, 'message', { signal: either }) as AsyncIterable<[HashMessage]>) {
      if (said.checksums !== undefined) return said.checksums
      onBytes(said.done)
    }
    throw either.reason
  } finally {
    await worker.terminate()
  }
}

/** A thread's messages: the number of bytes read so far, and finally its checksums. */
type HashMessage =
  | { readonly done: number; readonly checksums?: undefined }
  | { readonly checksums: Record<string, string> }

/** More threads than processors would only take memory. */
const inTurn = pLimit(availableParallelism())

/** Adds a file's checksums to the lists in its folder, and drops the lines of files that no longer exist. */
export async function writeChecksums(file: string, checksums: Checksums): Promise<void> {
  const folder = dirname(file)
  for (const algorithm of algorithms) {
    const path = listOf(folder, algorithm)
    const list = readChecksumList(await readIfThere(path))
    list.checksums.set(basename(file), checksums[algorithm])
    for (const name of list.checksums.keys())
      if (!(await canAccess(join(folder, name)))) list.checksums.delete(name)
    await writeDurably(path, renderChecksumList(list))
  }
}

/** Removes a file's checksums from the lists of its folder, because it is about to change. */
export async function dropChecksums(file: string): Promise<void> {
  for (const algorithm of algorithms) {
    const path = listOf(dirname(file), algorithm)
    const list = readChecksumList(await readIfThere(path))
    if (list.checksums.delete(basename(file))) await writeDurably(path, renderChecksumList(list))
  }
}

/** Paths of a folder's checksum lists, whether they exist or not. */
export function listsOf(folder: string): readonly string[] {
  return algorithms.map((algorithm) => listOf(folder, algorithm))
}

function listOf(folder: string, algorithm: Algorithm): string {
  return join(folder, `${algorithm}sum.txt`)
}

async function readIfThere(path: string): Promise<string> {
  return readRegularText(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return ''
    throw cause
  })
}

/** Whether the lists in its folder have a file's checksums. */
export async function hasChecksums(file: string, checksums: Checksums): Promise<boolean> {
  for (const algorithm of algorithms) {
    if (
      parseChecksums(await readIfThere(listOf(dirname(file), algorithm))).get(basename(file)) !==
      checksums[algorithm]
    )
      return false
  }
  return true
}
