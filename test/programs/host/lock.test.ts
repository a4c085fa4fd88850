import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { exitCodes, PipelineError } from '../../../src/errors.ts'
import { takeLock } from '../../../src/host/lock.ts'
import { describeHolder } from '../../../src/host/lock-holder.ts'
import { useFolder } from '../../support/folder.ts'
import { type LockWorker, startLockWorker, timesHeld } from '../../support/lock-worker.ts'

const path = useFolder()
const workers: LockWorker[] = []

afterEach(() => {
  for (const worker of workers.splice(0)) worker.kill('SIGKILL')
})

/** Another process that takes the lock. */
async function workerWithLock(): Promise<LockWorker> {
  const worker = startLockWorker(path(), ['hold'])
  workers.push(worker)
  await worker.said('held')
  return worker
}

describe('a lock', () => {
  it('is refused to another process, with the process and the run that have it', async () => {
    const { pid } = await workerWithLock()
    const refused = await takeLock(path(), 'mine').catch((error: unknown) => error as PipelineError)
    expect(refused).toBeInstanceOf(PipelineError)
    expect(refused).toMatchObject({ code: 'locked', exitCode: exitCodes.hostNotFit, details: { pid } })
    expect((refused as PipelineError).message).toMatch(
      new RegExp(`^another build is using ${path()}: process ${pid}, run worker-${pid}, since 2\\S+Z$`),
    )
    expect((refused as PipelineError).hint).toContain('--out')
  })

  it('is refused to the same process as well', async () => {
    const lock = await takeLock(path(), 'one')
    await expect(takeLock(path(), 'two')).rejects.toThrow(`process ${process.pid}, run one`)
    await lock.release()
  })

  it('is free after it was released, and leaves no file', async () => {
    const lock = await takeLock(path(), 'one')
    await lock.release()
    expect(readdirSync(path())).toEqual([])
    const next = await takeLock(path(), 'two')
    await next.release()
  })

  it('is free at once when its process is killed, and names the next one', async () => {
    const worker = await workerWithLock()
    worker.kill('SIGKILL')
    await worker.ended
    expect(readFileSync(path('lock'), 'utf8')).toContain(`worker-${worker.pid}`)
    const lock = await takeLock(path(), 'mine')
    expect(JSON.parse(readFileSync(path('lock'), 'utf8'))).toMatchObject({ pid: process.pid, runId: 'mine' })
    await lock.release()
    expect(readdirSync(path())).toEqual([])
  })

  it('stays with a process that is stopped', async () => {
    const worker = await workerWithLock()
    worker.kill('SIGSTOP')
    await expect(takeLock(path(), 'mine')).rejects.toThrow(`process ${worker.pid}`)
  })

  it('does not stay with what its process has started', async () => {
    const lock = await takeLock(path(), 'one')
    const child = spawn('sleep', ['60'], { stdio: 'ignore' })
    await once(child, 'spawn')
    await lock.release()
    await (await takeLock(path(), 'two')).release()
    child.kill('SIGKILL')
  })

  it.each(['', '{"pid": 1', '{"pid": 1, "runId": "of an earlier version"}'])(
    'whose file says %j and is not locked is free',
    async (content) => {
      writeFileSync(path('lock'), content)
      const lock = await takeLock(path(), 'mine')
      await lock.release()
      expect(existsSync(path('lock'))).toBe(false)
    },
  )

  it('is not written through a link to another file', async () => {
    writeFileSync(path('precious'), 'precious')
    symlinkSync(path('precious'), path('lock'))
    await expect(takeLock(path(), 'mine')).rejects.toMatchObject({ code: 'out-read-only' })
    expect(readFileSync(path('precious'), 'utf8')).toBe('precious')
  })

  it('without flock(1) is refused with its package', async () => {
    const { PATH = '' } = process.env
    process.env.PATH = path()
    try {
      await expect(takeLock(path(), 'mine')).rejects.toMatchObject({
        code: 'tools',
        message: expect.stringContaining('util-linux') as string,
      })
    } finally {
      process.env.PATH = PATH
    }
  })

  it('that is removed, or another one at its place, is found lost before the next write', async () => {
    const lock = await takeLock(path(), 'mine', undefined, 'build', { beatMs: 60_000, silentMs: 60_000 })
    await lock.confirm()
    rmSync(path('lock'))
    const other = await workerWithLock()
    await expect(lock.confirm()).rejects.toMatchObject({
      code: 'lock-lost',
      message: expect.stringContaining(`names process ${other.pid}`) as string,
    })
    expect(lock.lost.aborted).toBe(true)
    await lock.release()
    expect(readFileSync(path('lock'), 'utf8')).toContain(`worker-${other.pid}`)
  })

  it('that is lost is noticed without a write', async () => {
    const lock = await takeLock(path(), 'mine', undefined, 'build', { beatMs: 20, silentMs: 1000 })
    rmSync(path('lock'))
    await expect.poll(() => lock.lost.aborted).toBe(true)
    await lock.release()
  })
})

/** Takes the lock when it is free; says who was waited for. */
function takeWhenFree(runId: string, signal = AbortSignal.timeout(20_000)) {
  const waitedFor: string[] = []
  const taken = takeLock(path(), runId, {
    onWait: (holder) => waitedFor.push(describeHolder(holder)),
    signal,
  })
  taken.catch(() => undefined)
  return { taken, waitedFor }
}

describe('waiting for a lock', () => {
  it('says once for whom, and since when, and goes on when that one has released it', async () => {
    const first = await takeLock(path(), 'one')
    const { taken, waitedFor } = takeWhenFree('two')
    await expect.poll(() => waitedFor).toHaveLength(1)
    expect(waitedFor[0]).toMatch(
      new RegExp(`^process ${process.pid}, run one, since \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$`),
    )
    await first.release()
    const second = await taken
    expect(waitedFor).toHaveLength(1)
    expect(readFileSync(path('lock'), 'utf8')).toContain('two')
    await second.release()
    expect(readdirSync(path())).toEqual([])
  })

  it('goes on when the holder is killed', async () => {
    const worker = await workerWithLock()
    const { taken, waitedFor } = takeWhenFree('mine')
    await expect.poll(() => waitedFor[0]).toContain(`process ${worker.pid}, run worker-${worker.pid}`)
    worker.kill('SIGKILL')
    await (await taken).release()
  })

  it('is done by one after the other, each told of each that was before', async () => {
    const first = await takeLock(path(), 'one')
    const [second, third] = [takeWhenFree('two'), takeWhenFree('three')]
    await expect.poll(() => [...second.waitedFor, ...third.waitedFor]).toHaveLength(2)
    await first.release()
    const [winner, loser] = await Promise.race([
      second.taken.then((lock) => [lock, third] as const),
      third.taken.then((lock) => [lock, second] as const),
    ])
    await expect.poll(() => loser.waitedFor).toHaveLength(2)
    await winner.release()
    await (await loser.taken).release()
  })

  it('ends when it is interrupted, leaves the lock to its holder, and nothing beside it', async () => {
    const first = await takeLock(path(), 'one')
    const stopping = new AbortController()
    const { taken, waitedFor } = takeWhenFree('two', stopping.signal)
    await expect.poll(() => waitedFor).toHaveLength(1)
    stopping.abort()
    await expect(taken).rejects.toThrow('abort')
    expect(readdirSync(path())).toEqual(['lock'])
    expect(readFileSync(path('lock'), 'utf8')).toContain('one')
    await first.release()
  })
})

describe('eight processes that take over the lock of killed ones', () => {
  it('never have it at the same time', async () => {
    const started = Array.from({ length: 8 }, () => startLockWorker(path(), ['die']))
    workers.push(...started)
    await Promise.all(started.map(({ ended }) => ended))
    const said = started.map(({ text }) => text()).join('')
    expect(said.split('\n').filter((line) => line === 'held')).toHaveLength(8 * timesHeld)
    expect(said.match(/two holders.*/g)).toBeNull()
    expect(spawnSync('flock', ['--nonblock', path('lock'), 'true']).status).toBe(0)
  })
})
