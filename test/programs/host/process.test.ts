import { existsSync, readFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import {
  killMarked,
  type ProcessGroup,
  runMarker,
  startGroup,
  startOnTerminal,
  startTime,
} from '../../../src/host/process.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const groups: ProcessGroup[] = []

afterEach(async () => {
  for (const group of groups.splice(0)) await group.stop(0)
})

/** Starts a script and collects its lines. */
function start(script: string, env: Record<string, string> = {}) {
  const lines: string[] = []
  const group = startGroup('sh', ['-c', script], {
    env,
    onLine: (line, from) => lines.push(`${from} ${line}`),
  })
  groups.push(group)
  return { ...group, lines }
}

/** Whether a process runs; one that has ended and was not waited for does not. */
function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch {
    return false
  }
}

/** The pid that a script said in a line like `stdout pid 123`. */
async function saidPid(lines: readonly string[], word: string): Promise<number> {
  const find = () => lines.flatMap((line) => new RegExp(`^stdout ${word} (\\d+)$`).exec(line)?.[1] ?? [])[0]
  await expect.poll(find).toBeDefined()
  return Number(find())
}

describeWith(['setpriv'], 'a program in a group of its own', () => {
  it('tells every line and its exit status', async () => {
    const { ended, lines } = start('echo one; echo two >&2; printf three; exit 7')
    expect(await ended).toEqual({ exitCode: 7, signal: null })
    expect([...lines].sort()).toEqual(['stderr two', 'stdout one', 'stdout three'])
  })

  it('tells the signal that ended it', async () => {
    const { ended } = start('kill -KILL $$')
    expect(await ended).toEqual({ exitCode: null, signal: 'SIGKILL' })
  })

  it('gets the variables it is given, and reads nothing of our input', async () => {
    const { ended, lines } = start('echo "$WORD"; cat; echo end', { WORD: 'a b' })
    await ended
    expect(lines).toEqual(['stdout a b', 'stdout end'])
  })

  it('that cannot be started has a status that says so', async () => {
    const group = startGroup('no-such-program', [], { onLine: () => undefined })
    groups.push(group)
    expect((await group.ended).exitCode).not.toBe(0)
  })

  it('that has ended is not held up by a grandchild which keeps its output open', async () => {
    const { ended, lines } = start('sleep 600 & echo grandchild $!; exit 0')
    expect(await ended).toEqual({ exitCode: 0, signal: null })
    expect(runs(await saidPid(lines, 'grandchild'))).toBe(true)
  })

  it('is stopped with its grandchildren', async () => {
    const { stop, ended, lines } = start('sh -c "sleep 60 & echo grandchild \\$!; wait" & wait')
    const grandchild = await saidPid(lines, 'grandchild')
    expect(runs(grandchild)).toBe(true)
    await stop(3000)
    expect(runs(grandchild)).toBe(false)
    expect((await ended).signal).toBe('SIGTERM')
  })

  it('gets time to end by itself when it is stopped', async () => {
    const { stop, ended, lines } = start(
      'trap "echo bye; exit 3" TERM; echo ready 1; while :; do sleep 0.05; done',
    )
    await saidPid(lines, 'ready')
    await stop(5000)
    expect((await ended).exitCode).toBe(3)
    expect(lines).toContain('stdout bye')
  })

  it('is killed when it does not want to end', async () => {
    const { pid, stop, ended, lines } = start('trap "" TERM; echo ready 1; while :; do sleep 0.05; done')
    await saidPid(lines, 'ready')
    await stop(300)
    expect((await ended).signal).toBe('SIGKILL')
    expect(runs(pid)).toBe(false)
  })

  it('may be stopped when it has ended, and twice', async () => {
    const { stop, ended } = start('exit 0')
    await ended
    await stop(1000)
    await stop(1000)
  })
})

describeWith(['setpriv'], 'what a killed run left', () => {
  it('is found by its mark, and nothing else is', async () => {
    const run = `test-${process.pid}-${Date.now()}`
    // Out of its group and its session, as QEMU under Packer may be.
    const stray = start('setsid sh -c "echo stray \\$\\$; exec sleep 60" & wait', { [runMarker]: run })
    const other = start('echo other $$; exec sleep 60', { [runMarker]: `${run}0` })
    const [strayPid, otherPid] = [await saidPid(stray.lines, 'stray'), await saidPid(other.lines, 'other')]
    expect(await killMarked(run)).toBeGreaterThanOrEqual(1)
    await expect.poll(() => runs(strayPid)).toBe(false)
    expect(runs(otherPid)).toBe(true)
    expect(await killMarked(run)).toBe(0)
  })
})

describeWith(['setpriv'], "a process's start", () => {
  it('is the same as long as it lives, and undefined when it does not', async () => {
    const { pid, stop, ended } = start('exec sleep 60')
    const first = await startTime(pid)
    expect(first).toMatch(/^\d+$/)
    expect(await startTime(pid)).toBe(first)
    await stop(1000)
    await ended
    expect(await startTime(pid)).toBeUndefined()
  })

  it('is read right for a program with spaces and parentheses in its name', async () => {
    const { pid, lines } = start('printf "a) b (c" >/proc/$$/comm; echo ready 1; sleep 60')
    await saidPid(lines, 'ready')
    expect(readFileSync(`/proc/${pid}/stat`, 'utf8')).toContain('(a) b (c)')
    expect(Number(await startTime(pid))).toBeGreaterThanOrEqual(Number(await startTime(process.pid)))
  })
})

describeWith(['setpriv'], 'a program on our terminal', () => {
  const startThere = (script: string) => {
    const group = startOnTerminal('sh', ['-c', script])
    groups.push(group)
    return group
  }

  it('is in our own group, and tells its exit status', async () => {
    const { ended } = startThere(`cut -d' ' -f5 /proc/self/stat >'${path('group')}'; exit 3`)
    expect(await ended).toEqual({ exitCode: 3, signal: null })
    const [, ours] = /\) \S \d+ (\d+)/.exec(readFileSync('/proc/self/stat', 'utf8')) ?? []
    expect(readFileSync(path('group'), 'utf8').trim()).toBe(ours)
  })

  it.each([
    ['gets the time to leave the terminal as it was', 10_000, { exitCode: 5, signal: null }],
    ['is killed when it takes longer', 0, { exitCode: null, signal: 'SIGKILL' }],
  ])('%s', async (_case, graceMs, result) => {
    const script = `trap 'sleep 0.5; exit 5' TERM; : >'${path('ready')}'; while :; do sleep 0.05; done`
    const { ended, stop } = startThere(script)
    await expect.poll(() => existsSync(path('ready'))).toBe(true)
    await stop(graceMs)
    expect(await ended).toEqual(result)
  })
})
