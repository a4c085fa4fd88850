/** Suspends a guest to a file and resumes it: QEMU's migration. */

import { access, constants, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { quote } from '../host/shell-words.ts'
import type { Qmp } from './qmp.ts'

/** More than any disk can write: QEMU's own limit is meant for networks. */
const unlimitedBytesPerSecond = 2 ** 40

/** Path of a state until it is complete. */
export const partialState = (path: string) => `${path}.partial`

/** Stops a guest and writes its state to a file. It stays stopped. */
export async function suspend(qmp: Qmp, path: string, signal?: AbortSignal): Promise<void> {
  await qmp.execute('stop')
  await writeState(qmp, path, signal)
}

/** Writes a guest's state to a file. The guest is paused meanwhile, and continues afterwards. */
export async function saveState(qmp: Qmp, path: string, beforeItGoesOn: () => Promise<void>): Promise<void> {
  await qmp.execute('stop')
  try {
    await writeState(qmp, path)
    await beforeItGoesOn()
  } finally {
    await qmp.execute('cont')
  }
}

/** Resumes a guest from a file, in a machine that awaits a state. */
export async function loadState(qmp: Qmp, path: string, signal?: AbortSignal): Promise<void> {
  // QEMU waits forever for a stream that never begins.
  await access(path, constants.R_OK)
  await qmp.execute('migrate-incoming', { uri: `exec:zstd -d -c -q ${quote(path)}` })
  await waitWhile(qmp, 'query-status', ['inmigrate'], 'paused', signal)
  await qmp.execute('cont')
}

async function writeState(qmp: Qmp, path: string, signal?: AbortSignal): Promise<void> {
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': unlimitedBytesPerSecond })
  const partial = partialState(path)
  await rm(path, { force: true })
  const pack = `zstd -1 -q -f -o ${quote(partial)} && mv -f ${quote(partial)} ${quote(path)}`
  await qmp.execute('migrate', { uri: `exec:${pack}` })
  await waitWhile(qmp, 'query-migrate', ['setup', 'active', 'device', 'none'], 'completed', signal)
  await waitForFile(path, partial, signal)
}

/** Longest time that a file may not grow while it is being written: long enough for a busy disk. */
const silenceMs = 60_000
/** Longest time without a file: the program has not started yet, or has failed. */
const absenceMs = 5_000

/**
 * QEMU has handed over the entire state, and does not check what happens to it: the program that compresses it may still be
 * writing, or its disk may be full.
 */
async function waitForFile(path: string, partial: string, signal: AbortSignal | undefined): Promise<void> {
  let last = { size: -1, atMs: performance.now() }
  for (;;) {
    if ((await sizeOf(path)) !== undefined) return
    const size = (await sizeOf(partial)) ?? -1
    if (size !== last.size) last = { size, atMs: performance.now() }
    const limitMs = size === -1 ? absenceMs : silenceMs
    if (performance.now() - last.atMs > limitMs) throw new Error(`zstd has not written ${path}`)
    await sleep(20, undefined, signal === undefined ? {} : { signal })
  }
}

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size

async function waitWhile(
  qmp: Qmp,
  query: string,
  waiting: readonly string[],
  expected: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const { status } = (await qmp.execute(query)) as { readonly status?: string }
    if (status === expected) return
    if (!waiting.includes(status ?? 'none')) throw new Error(`QEMU answers ${query} with ${status}`)
    await sleep(20, undefined, signal === undefined ? {} : { signal })
  }
}
