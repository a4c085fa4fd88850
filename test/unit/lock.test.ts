import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { exitCodes, PipelineError } from '../../src/errors.ts'
import { takeLock } from '../../src/host/lock.ts'
import { startTime } from '../../src/host/process.ts'
import { useFolder } from '../support/folder.ts'

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
    expect(lock.abandonedRun).toBeUndefined()
    await lock.release()
    expect(readdirSync(path())).toEqual([])
    const next = await takeLock(path(), 'two')
    expect(next.abandonedRun).toBeUndefined()
    await next.release()
  })

  it('of a process that died is taken over, and its run named', async () => {
    await lockOf(deadPid(), '12345')
    const lock = await takeLock(path(), 'mine')
    expect(lock.abandonedRun).toBe('run-of-another')
    expect(JSON.parse(readFileSync(path('lock'), 'utf8'))).toMatchObject({ pid: process.pid, runId: 'mine' })
    await lock.release()
  })

  it('of a process whose id another one has by now is taken over', async () => {
    const pid = await bystander()
    await lockOf(pid, '1')
    const lock = await takeLock(path(), 'mine')
    expect(lock.abandonedRun).toBe('run-of-another')
    await lock.release()
  })

  it.each(['', '{"pid": 1'])('that says %j is of nobody', async (content) => {
    writeFileSync(path('lock'), content)
    const lock = await takeLock(path(), 'mine')
    expect(lock.abandonedRun).toBeUndefined()
    await lock.release()
    expect(existsSync(path('lock'))).toBe(false)
  })
})
