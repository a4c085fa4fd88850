import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Lease, takeLease } from '../../../src/host/lease.ts'
import { takeLock } from '../../../src/host/lock.ts'
import { describeSelf } from '../../../src/host/lock-holder.ts'
import { useFolder } from '../../support/folder.ts'
import { type LockWorker, startLockWorker, timesHeld } from '../../support/lock-worker.ts'

const path = useFolder()
const workers: LockWorker[] = []
const { PATH = '' } = process.env
/** Short, but longer than a busy host stops a process for. */
const timing = { beatMs: 200, silentMs: 1500 }

beforeEach(() => {
  // A kernel without locks for this filesystem.
  const script = '#!/bin/sh\necho "flock: 3: No locks available" >&2\nexit 71\n'
  mkdirSync(path('bin'))
  writeFileSync(path('bin', 'flock'), script, { mode: 0o755 })
  process.env.PATH = `${path('bin')}:${PATH}`
})

afterEach(() => {
  process.env.PATH = PATH
  for (const worker of workers.splice(0)) worker.kill('SIGKILL')
})

function startWorker(what: 'hold' | 'die', silentMs = timing.silentMs): LockWorker {
  const worker = startLockWorker(path('out'), [what, `${timing.beatMs}`, `${silentMs}`])
  workers.push(worker)
  return worker
}

const leases = () => readdirSync(path('out')).filter((name) => /^lock\.\d+$/.test(name))

describe('where the kernel has no locks', () => {
  it('one process at a time has the lease, and the next generation is the next holder', async () => {
    const first = await takeLock(path('out'), 'one', undefined, 'build', timing)
    await expect(takeLock(path('out'), 'two', undefined, 'build', timing)).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`process ${process.pid}, run one, since`) as string,
    })
    expect(leases()).toEqual(['lock.1'])
    await first.release()
    const second = await takeLock(path('out'), 'two', undefined, 'build', timing)
    expect(leases()).toEqual(['lock.1', 'lock.2'])
    await second.release()
    expect(readFileSync(path('out', 'lock.2'), 'utf8')).toBe('released\n')
  })

  it('a holder that is stopped for long is succeeded, and writes nothing more once it goes on', async () => {
    const stopped = startWorker('hold')
    await stopped.said('held')
    stopped.kill('SIGSTOP')
    const waiting = { onWait: () => undefined, signal: AbortSignal.timeout(60_000) }
    const lock = await takeLock(path('out'), 'mine', waiting, 'build', timing)
    expect(leases()).toEqual(['lock.1', 'lock.2'])
    stopped.kill('SIGCONT')
    await stopped.said(`the lock ${path('out', 'lock')} is no longer this run's`)
    await lock.confirm()
    await lock.release()
  })

  it('a holder whose process has ended is succeeded without waiting for its silence', async () => {
    const killed = startWorker('hold')
    await killed.said('held')
    killed.kill('SIGKILL')
    await killed.ended
    const lock = await takeLock(path('out'), 'mine', undefined, 'build', {
      beatMs: 60_000,
      silentMs: 600_000,
    })
    await lock.release()
  })

  it('eight processes that succeed killed ones never have it at the same time', async () => {
    const started = Array.from({ length: 8 }, () => startWorker('die', 20_000))
    await Promise.all(started.map(({ ended }) => ended))
    const said = started.map(({ text }) => text()).join('')
    expect(said.split('\n').filter((line) => line === 'held')).toHaveLength(8 * timesHeld)
    expect(said.match(/two holders.*/g)).toBeNull()
  })
})

describe('a lease of another host', () => {
  /** Its process cannot be seen from here. */
  const elsewhere = async (runId: string) => ({
    ...(await describeSelf(runId)),
    bootId: 'another',
    host: 'a-host',
  })
  const isLease = (taken: Awaited<ReturnType<typeof takeLease>>): taken is Lease => 'isOurs' in taken

  it('is its own as long as it is renewed, whatever its clock says', async () => {
    const file = path('lock.1')
    writeFileSync(file, JSON.stringify(await elsewhere('theirs')))
    let ago = 3_600_000
    const renew = () => {
      ago -= timing.beatMs
      const time = new Date(Date.now() - ago)
      utimesSync(file, time, time)
    }
    renew()
    const beat = setInterval(renew, timing.beatMs)
    const taken = await takeLease(path('lock'), await describeSelf('mine'), timing)
    clearInterval(beat)
    expect(taken).toMatchObject({ other: { runId: 'theirs' } })
    const next = await takeLease(path('lock'), await describeSelf('mine'), timing)
    expect(isLease(next)).toBe(true)
    expect(existsSync(path('lock.2'))).toBe(true)
  })

  it('is removed only long after it ended, when no listing can be under way that has it', async () => {
    for (const generation of [1, 2, 3]) writeFileSync(path(`lock.${generation}`), 'released\n')
    const past = new Date(Date.now() - 2 * 3_600_000)
    utimesSync(path('lock.1'), past, past)
    expect(isLease(await takeLease(path('lock'), await describeSelf('mine'), timing))).toBe(true)
    expect(readdirSync(path()).filter((name) => name.startsWith('lock'))).toEqual([
      'lock.2',
      'lock.3',
      'lock.4',
    ])
  })

  it('is not taken by one who has looked at it for so long that others came and went', async () => {
    writeFileSync(path('lock.1'), JSON.stringify(await elsewhere('theirs')))
    const past = new Date(Date.now() - 60_000)
    utimesSync(path('lock.1'), past, past)
    const slow = takeLease(path('lock'), await describeSelf('slow'), timing)
    await sleep(timing.beatMs)
    // Another has succeeded it meanwhile, and let go; a third has succeeded that one.
    writeFileSync(path('lock.3'), JSON.stringify(await elsewhere('third')))
    expect(await slow).toMatchObject({ other: { runId: 'third' } })
    expect(readdirSync(path()).filter((name) => name.startsWith('lock'))).toEqual(['lock.1', 'lock.3'])
  })

  it.each([
    '0',
    '01',
    '-1',
    '1e3',
    '1000000000',
    '999999999999999',
    `${Number.MAX_SAFE_INTEGER}`,
    '9'.repeat(200),
  ])('has no generation %s', async (generation) => {
    writeFileSync(path(`lock.${generation}`), 'released\n')
    expect(isLease(await takeLease(path('lock'), await describeSelf('mine'), timing))).toBe(true)
    expect(existsSync(path('lock.1'))).toBe(true)
  })

  it('has a last generation, which is refused by name', async () => {
    writeFileSync(path('lock.999999999'), 'released\n')
    await expect(takeLease(path('lock'), await describeSelf('mine'), timing)).rejects.toMatchObject({
      code: 'lock-exhausted',
      message: expect.stringContaining(path('lock.999999999')) as string,
    })
  })
})
