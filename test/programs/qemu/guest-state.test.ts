import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { qemuArguments } from '../../../src/qemu/arguments.ts'
import type { Machine } from '../../../src/qemu/machine.ts'
import { connectQmp, type Qmp } from '../../../src/qemu/qmp.ts'
import { loadState, saveState } from '../../../src/qemu/suspend.ts'
import { keyOfState } from '../../../src/stages/state-key.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const started: ChildProcess[] = []

afterEach(() => {
  for (const qemu of started.splice(0)) qemu.kill('SIGKILL')
})

const closed = { network: '10.0.2.0/24', host: '10.0.2.2' }

/** A machine without a disk, in its firmware, confined and connected as builds' are: enough to have a state. */
async function start(
  name: string,
  changes: Partial<Machine> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Qmp> {
  const machine: Machine = {
    ...{
      arch: 'x86_64',
      accelerator: 'tcg',
      cpu: 'qemu64',
      memoryMiB: 32,
      serial: 'none',
      savesStates: true,
    },
    cards: [{ device: 'virtio-net-pci', network: { isOpen: true } }],
    qmpSocket: path(name),
    ...changes,
  }
  started.push(
    spawn('qemu-system-x86_64', qemuArguments(machine).flat(), {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    }),
  )
  return connectQmp(path(name), AbortSignal.timeout(60_000))
}

const statusOf = async (qmp: Qmp) => ((await qmp.execute('query-status')) as { status: string }).status

describeWith(['qemu-system-x86_64', 'zstd'], "a guest's state, judged by QEMU", () => {
  const save = async () => {
    const qmp = await start('first')
    let statusMeanwhile = ''
    await saveState(qmp, path("it's a state"), async () => {
      statusMeanwhile = await statusOf(qmp)
    })
    return { qmp, statusMeanwhile }
  }

  it('is kept while the guest stands still, which goes on afterwards', async () => {
    const { qmp, statusMeanwhile } = await save()
    expect(statusMeanwhile).toBe('postmigrate')
    expect(await statusOf(qmp)).toBe('running')
    expect(statSync(path("it's a state")).size).toBeGreaterThan(1000)
  })

  it('is what another QEMU goes on from', async () => {
    await save()
    const qmp = await start('second', { awaits: 'state' })
    expect(await statusOf(qmp)).toBe('inmigrate')
    await loadState(qmp, path("it's a state"))
    expect(await statusOf(qmp)).toBe('running')
  })

  it('is gone on from behind a network that is closed, too', async () => {
    await save()
    const cards = [{ device: 'virtio-net-pci', network: closed }]
    const qmp = await start('second', { awaits: 'state', cards })
    await loadState(qmp, path("it's a state"))
    expect(await statusOf(qmp)).toBe('running')
  })

  it('is not kept by a QEMU that may run no programs', async () => {
    const qmp = await start('first', { savesStates: false })
    await expect(saveState(qmp, path('state'), async () => undefined)).rejects.toThrow()
    expect(existsSync(path('state'))).toBe(false)
  })

  it('is refused when half of it is missing', async () => {
    await save()
    const whole = readFileSync(path("it's a state"))
    writeFileSync(path('half'), whole.subarray(0, whole.length / 2))
    const qmp = await start('second', { awaits: 'state' })
    // Once in a while QEMU hangs over it instead of ending; the build ends it then.
    const limit = setTimeout(() => started.at(-1)?.kill('SIGKILL'), 5000)
    await expect(loadState(qmp, path('half'))).rejects.toThrow(/QEMU/)
    clearTimeout(limit)
  })

  it('can not be kept where nothing can be written, and the guest goes on all the same', async () => {
    const qmp = await start('first')
    const refused = saveState(qmp, path('no', 'such', 'folder'), async () => undefined)
    // QEMU 10 hands over a small state before it notices.
    await expect(refused).rejects.toThrow(/query-migrate|zstd has not written/)
    expect(await statusOf(qmp)).toBe('running')
  })

  it('can not be kept where it cannot be written to its end, and the guest goes on all the same', async () => {
    writeFileSync(path('zstd'), '#!/bin/sh\ncat >"$5"; rm "$5"; exit 1\n', { mode: 0o755 })
    const qmp = await start('first', {}, { PATH: `${path()}:${process.env.PATH}` })
    const refused = saveState(qmp, path('state'), async () => undefined)
    await expect(refused).rejects.toThrow(`zstd has not written ${path('state')}`)
    expect(await statusOf(qmp)).toBe('running')
  })

  it('belongs to one layer, one QEMU and one machine', async () => {
    const machine = {
      arch: 'x86_64',
      accelerator: 'tcg',
      cpu: 'max',
      cpus: 2,
      memoryMiB: 512,
      qemuVersion: '7.2',
    } as const
    const keys = await Promise.all([
      keyOfState(machine, 'a'),
      keyOfState(machine, 'b'),
      keyOfState({ ...machine, memoryMiB: 1024 }, 'a'),
      keyOfState({ ...machine, cpu: 'Haswell' }, 'a'),
      keyOfState({ ...machine, qemuVersion: '7.2.1' }, 'a'),
      keyOfState({ ...machine, accelerator: 'kvm' }, 'a'),
      keyOfState({ ...machine, accelerator: 'kvm', cpus: 1 }, 'a'),
    ])
    expect(new Set(keys).size).toBe(keys.length)
    expect(await keyOfState({ ...machine }, 'a')).toBe(keys[0])
    // While it is emulated it has one processor, whatever was asked for.
    expect(await keyOfState({ ...machine, cpus: 4 }, 'a')).toBe(keys[0])
  })
})
