/** Puts a guest to sleep and wakes it: QEMU's migration, to a file and from it. */

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { canonicalJson, sha256 } from '../digest.ts'
import { buildUnit, readFixedFiles } from './kit.ts'
import { type Acceleration, buildKernelArguments, machineArguments } from './machine.ts'
import type { Qmp } from './qmp.ts'

/** What a saved state is bound to, beside the disk: a machine that differs in any of it could not go on. */
export interface StateMachine extends Acceleration {
  readonly cpus: number
  readonly memoryMiB: number
  readonly qemuVersion: string
}

/** Raised when states of before could no longer be woken. */
const stateFormat = 1

/** Key of the state of a machine that stands on a layer. */
export async function keyOfState(machine: StateMachine, layer: string): Promise<string> {
  const { qemuVersion, ...definition } = machine
  const none = {
    disk: '',
    kernel: '',
    initrd: '',
    kernelArguments: buildKernelArguments('', buildUnit),
    serialLog: '',
    qmpSocket: '',
  }
  const parts = {
    format: stateFormat,
    layer,
    qemuVersion,
    machine: machineArguments({ ...definition, ...none, channelSocket: '' }) as string[][],
    // With `-cpu host` the machine is what the host is.
    host: machine.accelerator === 'kvm' ? await describeHostCpu() : '',
    kit: [...(await readFixedFiles())].map(([path, content]) => [path, sha256(content)]),
  }
  return sha256(canonicalJson(parts))
}

async function describeHostCpu(): Promise<string> {
  const lines = (await readFile('/proc/cpuinfo', 'utf8')).split('\n')
  return ['vendor_id', 'model name', 'stepping', 'microcode', 'flags']
    .map((name) => lines.find((line) => line.startsWith(name)) ?? '')
    .join('\n')
}

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

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
