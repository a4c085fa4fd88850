/** Puts a guest to sleep and wakes it: QEMU's migration, to a file and from it. */

import { setTimeout as sleep } from 'node:timers/promises'
import { quote } from '../host/shell-words.ts'
import type { Qmp } from './qmp.ts'

/** More than any disk takes: QEMU's own limit is made for networks. */
const unlimitedBytesPerSecond = 2 ** 40

/** Writes a guest's state to a file. The guest stands still meanwhile, and goes on afterwards. */
export async function saveState(qmp: Qmp, path: string, beforeItGoesOn: () => Promise<void>): Promise<void> {
  await qmp.execute('stop')
  try {
    await qmp.execute('migrate-set-parameters', { 'max-bandwidth': unlimitedBytesPerSecond })
    await qmp.execute('migrate', { uri: `exec:zstd -1 -q -f -o ${quote(path)}` })
    await waitWhile(qmp, 'query-migrate', ['setup', 'active', 'device', 'none'], 'completed')
    await beforeItGoesOn()
  } finally {
    await qmp.execute('cont')
  }
}

/** Has a machine that was started asleep go on from a file. */
export async function loadState(qmp: Qmp, path: string): Promise<void> {
  await qmp.execute('migrate-incoming', { uri: `exec:zstd -d -c -q ${quote(path)}` })
  await waitWhile(qmp, 'query-status', ['inmigrate'], 'paused')
  await qmp.execute('cont')
}

async function waitWhile(
  qmp: Qmp,
  query: string,
  waiting: readonly string[],
  expected: string,
): Promise<void> {
  for (;;) {
    const { status } = (await qmp.execute(query)) as { readonly status?: string }
    if (status === expected) return
    if (!waiting.includes(status ?? 'none')) throw new Error(`QEMU answers ${query} with ${status}`)
    await sleep(20)
  }
}
