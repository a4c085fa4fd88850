/** How busy a guest is, seen from its host: its processors and its disk. */

import { readFileSync } from 'node:fs'
import type { Qmp } from './qmp.ts'

export interface GuestLoad {
  /** Share of the time in which its processors ran, from 0 to 1, since the last query. */
  readonly processor: number
  /** Bytes read and written per second, on all of its disks. */
  readonly diskBytes: number
}

interface Counters {
  readonly atMs: number
  readonly processors: number
  /** Time that the processors ran, in milliseconds. */
  readonly ranMs: number
  readonly diskBytes: number
}

/** Starts measuring. Each call of the result covers the time since the call before. @throws Error once QEMU has ended */
export async function measureLoad(qmp: Qmp): Promise<() => Promise<GuestLoad>> {
  const found = (await qmp.execute('query-cpus-fast')) as readonly { readonly 'thread-id': number }[]
  const threads = found.map(({ 'thread-id': id }) => id)
  let last = await count(qmp, threads)
  return async () => {
    const now = await count(qmp, threads)
    const load = loadBetween(last, now)
    last = now
    return load
  }
}

/** What counters say about the time between them. */
export function loadBetween(before: Counters, now: Counters): GuestLoad {
  const ms = Math.max(1, now.atMs - before.atMs)
  const share = (now.ranMs - before.ranMs) / ms / Math.max(1, now.processors)
  return {
    processor: Math.min(1, Math.max(0, share)),
    diskBytes: Math.max(0, ((now.diskBytes - before.diskBytes) * 1000) / ms),
  }
}

interface BlockStatistics {
  readonly stats: { readonly rd_bytes: number; readonly wr_bytes: number }
}

async function count(qmp: Qmp, threads: readonly number[]): Promise<Counters> {
  const devices = (await qmp.execute('query-blockstats')) as readonly BlockStatistics[]
  return {
    atMs: performance.now(),
    processors: threads.length,
    ranMs: threads.reduce((sum, thread) => sum + ranMs(thread), 0),
    diskBytes: devices.reduce((sum, { stats }) => sum + stats.rd_bytes + stats.wr_bytes, 0),
  }
}

/** Time that a thread has run; 0 if it has ended, or if this kernel does not measure it. */
function ranMs(thread: number): number {
  try {
    return Number(readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return 0
  }
}
