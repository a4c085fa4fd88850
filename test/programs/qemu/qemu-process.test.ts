/** A QEMU that is started, reached by QMP and stopped: real ones, and those that end before they are up. */

import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import type { Machine } from '../../../src/qemu/machine.ts'
import { type Qemu, startQemu } from '../../../src/qemu/process.ts'
import { loadState, suspend } from '../../../src/qemu/suspend.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const started: Qemu[] = []

afterEach(async () => {
  for (const qemu of started.splice(0)) await qemu.stop()
})

const machine = (over: Partial<Machine> = {}): Machine => ({
  arch: 'x86_64',
  accelerator: 'tcg',
  cpu: 'max',
  memoryMiB: 32,
  serial: 'none',
  qmpSocket: path('qmp'),
  savesStates: true,
  ...over,
})

function start(over: Partial<Machine> = {}, program?: string): Qemu {
  const qemu = startQemu(machine(over), program === undefined ? {} : { program })
  started.push(qemu)
  return qemu
}

/** A QEMU that does what a script says. */
function fake(script: string): string {
  writeFileSync(path('qemu'), `#!/bin/sh\n${script}\n`)
  chmodSync(path('qemu'), 0o755)
  return path('qemu')
}

const giveUp = () => AbortSignal.timeout(20_000)

describe('a QEMU that ends before its guest is up', () => {
  it('is explained by what it has said, at once', async () => {
    const qemu = start({}, fake('echo "qemu: no such device" >&2; exit 3'))
    await expect(qemu.connect(giveUp())).rejects.toMatchObject({
      code: 'qemu-ended',
      message: 'QEMU ended with 3 before the guest was up',
      details: { lastLines: ['qemu: no such device'] },
    })
    expect(qemu.isRunning()).toBe(false)
  })

  it('is explained by a console that it has flooded', async () => {
    const log = path('serial.log')
    const qemu = start({ serial: { file: log } }, fake(`truncate -s 65M ${log}; exec sleep 60`))
    await expect(qemu.untilEnd()).rejects.toMatchObject({
      code: 'guest-floods',
      message: 'the guest was stopped: it printed more than 64 MiB (serial.log)',
    })
    expect(qemu.isRunning()).toBe(false)
    expect(qemu.endedFor()?.code).toBe('guest-floods')
  })

  it('ends any other wait for the guest', async () => {
    const qemu = start({}, fake('kill -KILL $$'))
    await expect(qemu.untilEnd()).rejects.toThrow('QEMU ended with SIGKILL')
  })

  it('is no program that is not there', async () => {
    const qemu = start({}, path('none'))
    await expect(qemu.connect(giveUp())).rejects.toMatchObject({ code: 'qemu-ended' })
  })
})

it('no file of the host adds to a machine', async () => {
  const lines: string[] = []
  const qemu = startQemu(machine(), { program: fake('echo "$*"'), onLine: (line) => lines.push(line) })
  await qemu.ended
  expect(lines[0]).toMatch(/^-no-user-config -nodefaults /)
})

it('gets the time to leave the terminal as it was', async () => {
  const script = `trap 'sleep 0.5; exit 5' TERM; : >'${path('ready')}'; while :; do sleep 0.05; done`
  const qemu = start({ serial: 'terminal' }, fake(script))
  await expect.poll(() => existsSync(path('ready'))).toBe(true)
  await qemu.stop()
  expect(await qemu.ended).toEqual({ exitCode: 5, signal: null })
})

it('a connection is given up when it is not wanted any more', async () => {
  const qemu = start({}, fake('exec sleep 20'))
  const controller = new AbortController()
  setTimeout(() => controller.abort(new Error('interrupted')), 50)
  await expect(qemu.connect(controller.signal)).rejects.toThrow(/interrupted|abort/)
  expect(qemu.isRunning()).toBe(true)
})

describeWith(['qemu-system-x86_64', 'zstd'], 'a real QEMU', () => {
  it('answers by QMP, and is gone when it is stopped', async () => {
    const qemu = start()
    const qmp = await qemu.connect(giveUp())
    expect(await qmp.execute('query-status')).toMatchObject({ status: 'running' })
    expect(qemu.isRunning()).toBe(true)
    await qemu.stop()
    await qemu.ended
    expect(qemu.isRunning()).toBe(false)
    await expect(qmp.execute('query-status')).rejects.toThrow('QEMU ended')
  })

  it('is suspended for good, and another one resumes from its file', async () => {
    const first = start()
    const qmp = await first.connect(giveUp())
    await suspend(qmp, path("it's a state"))
    expect(await qmp.execute('query-status')).toMatchObject({ status: 'postmigrate' })
    await first.stop()
    const second = start({ qmpSocket: path('second'), awaits: 'state' })
    const resumed = await second.connect(giveUp())
    await loadState(resumed, path("it's a state"))
    expect(await resumed.execute('query-status')).toMatchObject({ status: 'running' })
  })

  it('stops waiting for a state with its caller', async () => {
    const qmp = await start({ awaits: 'state' }).connect(giveUp())
    const controller = new AbortController()
    // Nothing is ever written into it.
    execFileSync('mkfifo', [path('pipe')])
    const loading = loadState(qmp, path('pipe'), controller.signal)
    controller.abort()
    await expect(loading).rejects.toThrow(/abort/)
    expect(await qmp.execute('query-status')).toMatchObject({ status: 'inmigrate' })
  })
})
