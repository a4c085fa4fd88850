import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { exitCodes, PipelineError } from '../../../src/errors.ts'
import { describeHolder, takeLock } from '../../../src/host/lock.ts'
import { startTime } from '../../../src/host/process.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const children: ReturnType<typeof spawn>[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** Writes a lock as another process would have. */
async function lockOf(pid: number, started: string | undefined): Promise<void> {
  writeFileSync(path('lock'), JSON.stringify({ pid, startTime: started, runId: 'run-of-another' }))
}

/** A process of ours that lives until the test ends. */
async function bystander(): Promise<number> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' })
  children.push(child)
  await once(child, 'spawn')
  return child.pid ?? 0
}

/** The id of a process that has just ended. */
function deadPid(): number {
  return spawnSync('true').pid
}

describe('a lock', () => {
  it('is refused to a second taker, who is told the process and the run that have it', async () => {
    const pid = await bystander()
    await lockOf(pid, await startTime(pid))
    const refused = await takeLock(path(), 'mine').catch((error: unknown) => error as PipelineError)
    expect(refused).toBeInstanceOf(PipelineError)
    expect(refused).toMatchObject({
      code: 'locked',
      exitCode: exitCodes.hostNotFit,
      message: `another build works in ${path()}: process ${pid}, run run-of-another`,
    })
    expect((refused as PipelineError).hint).toContain('--out')
    expect(readFileSync(path('lock'), 'utf8')).toContain('run-of-another')
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

  it('of a process that died is taken over', async () => {
    await lockOf(deadPid(), '12345')
    const lock = await takeLock(path(), 'mine')
    expect(JSON.parse(readFileSync(path('lock'), 'utf8'))).toMatchObject({ pid: process.pid, runId: 'mine' })
    await lock.release()
  })

  it('of a process whose id another one has by now is taken over', async () => {
    const pid = await bystander()
    await lockOf(pid, '1')
    const lock = await takeLock(path(), 'mine')
    expect(readFileSync(path('lock'), 'utf8')).toContain('mine')
    await lock.release()
  })

  it.each(['', '{"pid": 1'])('that says %j is of nobody', async (content) => {
    writeFileSync(path('lock'), content)
    const lock = await takeLock(path(), 'mine')
    await lock.release()
    expect(existsSync(path('lock'))).toBe(false)
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
    // Longer than it takes to look again.
    await sleep(500)
    expect(waitedFor).toHaveLength(1)
    const released = performance.now()
    await first.release()
    const second = await taken
    expect(performance.now() - released).toBeLessThan(1000)
    expect(readFileSync(path('lock'), 'utf8')).toContain('two')
    await second.release()
    expect(readdirSync(path())).toEqual([])
  })

  it('goes on when the holder is killed', async () => {
    const pid = await bystander()
    await lockOf(pid, await startTime(pid))
    const { taken, waitedFor } = takeWhenFree('mine')
    await expect.poll(() => waitedFor).toEqual([`process ${pid}, run run-of-another`])
    const killed = performance.now()
    process.kill(pid, 'SIGKILL')
    const lock = await taken
    expect(performance.now() - killed).toBeLessThan(1000)
    await lock.release()
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

describe('a lock that outlives its process', () => {
  it('is stale as soon as the process has ended, also when nobody has asked for its exit status', async () => {
    // A shell that never waits for the process it has started.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    children.push(parent)
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(line)
    await lockOf(pid, await startTime(pid))
    await expect(takeLock(path(), 'mine')).rejects.toThrow(`process ${pid}`)
    process.kill(pid, 'SIGKILL')
    const { taken } = takeWhenFree('mine')
    await (await taken).release()
  })

  it.each([
    ['another container', { bootId: undefined, pidSpace: 'pid:[1]', host: 'a-container' }],
    ['another host', { bootId: 'of another host', pidSpace: undefined, host: 'a-host' }],
    ['another boot', { bootId: 'of another boot', pidSpace: undefined, host: 'a-host' }],
  ])('is alive in %s as long as it is touched, whatever has its pid here', async (_case, place) => {
    const pid = await bystander()
    const holder = { pid, startTime: await startTime(pid), runId: 'run-of-another', ...place }
    writeFileSync(path('lock'), JSON.stringify(holder))
    await expect(takeLock(path(), 'mine')).rejects.toThrow(`on ${place.host}, run run-of-another`)
    const touch = (ago: number) => {
      const time = new Date(Date.now() - ago)
      utimesSync(path('lock'), time, time)
    }
    // Its clock is not ours.
    let ago = 3_600_000
    touch(ago)
    const beat = setInterval(() => {
      ago -= 1000
      touch(ago)
    }, 1000)
    await expect(takeLock(path(), 'mine')).rejects.toThrow(`on ${place.host}`)
    clearInterval(beat)
    await (await takeLock(path(), 'mine')).release()
    expect(readdirSync(path())).toEqual([])
  })

  it('is touched by its holder as long as it is its own', async () => {
    const lock = await takeLock(path(), 'mine')
    const long = new Date(Date.now() - 3_600_000)
    utimesSync(path('lock'), long, long)
    await expect
      .poll(() => Date.now() - statSync(path('lock')).mtimeMs, { timeout: 10_000 })
      .toBeLessThan(10_000)
    await lockOf(deadPid(), '1')
    utimesSync(path('lock'), long, long)
    await sleep(3000)
    expect(statSync(path('lock')).mtimeMs).toBeCloseTo(long.getTime(), 0)
    await lock.release()
    expect(readdirSync(path())).toEqual(['lock'])
  })

  it('takes along what other takers had beside it when they were killed', async () => {
    const [dead, alive] = [deadPid(), await bystander()]
    for (const name of [`lock.${dead}.01`, `lock.${dead}.01.stale`, `lock.${alive}.02`])
      writeFileSync(path(name), '')
    await (await takeLock(path(), 'mine')).release()
    expect(readdirSync(path())).toEqual([`lock.${alive}.02`])
  })
})
