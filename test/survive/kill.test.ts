/**
 * Nothing is lost: `kill -9` of the build, of Packer and of QEMU at moments drawn by chance, in series of kills and restarts
 * that end in a build which completes. `SURVIVE_TRIALS` says how many kills, `SURVIVE_SEED` repeats them. With
 * `SURVIVE_REFERENCE`, the folder of a finished build, none is made to compare with.
 */

import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Estimates, readEstimates } from '../../src/plan/estimates.ts'
import type { BuildEvent } from '../../src/report/events.ts'
import { formatTable } from '../../src/report/format.ts'
import { openStore } from '../../src/store/store.ts'
import { readReport, systemvmImage } from '../e2e/program.ts'
import { sumsIn } from '../support/two-builds.ts'
import { allPhases, chance, drawMoment, type Moment, type Victim } from './moments.ts'
import { complete, linkBase, linkCache, ofGuest, wordsFor } from './output-folders.ts'
import { seedPackages } from './seed-packages.ts'
import { processesOfRun, type WatchedBuild, watchBuild } from './watched-build.ts'

const trials = Number(process.env.SURVIVE_TRIALS ?? 30)
const seed = Number(process.env.SURVIVE_SEED ?? Math.floor(Math.random() * 1e9))
const random = chance(seed)

let root: string
let reference: string
let usually: Estimates
const table: string[][] = []
let done = 0

/** A row of the table, which is also shown at once: all of them take an hour. */
function tell(row: string[]): void {
  table.push(row)
  console.log(row.join('  '))
}

beforeAll(async () => {
  console.log(`survive: ${trials} trials, SURVIVE_SEED=${seed}`)
  root = await mkdtemp(join(tmpdir(), 'survive-'))
  reference = process.env.SURVIVE_REFERENCE ?? join(root, 'reference')
  if (process.env.SURVIVE_REFERENCE === undefined) await seedPackages(reference)
  await finish(reference)
  usually = await readEstimates(reference, await openStore(join(reference, 'store')).list(), {
    ...({ installer: 'bootstrap', arch: 'x86_64' } as const),
  })
})

afterAll(async () => {
  const head = ['trial', 'series', 'killed', 'in', 'running', 'after', 'then', 'left', 'recovered in']
  console.log(`SURVIVE_SEED=${seed}\n${formatTable([head, ...table])}`)
  await rm(root, { recursive: true, force: true })
})

/** From the program's start to its first event. */
const startSeconds = 1.5
const wakeSeconds = 4

/** A temporary folder of one series' own, so that what is left in it shows. Short, or sockets would lie elsewhere. */
function temporaryOf(outFolder: string): string {
  return `${outFolder}.tmp`
}

async function start(outFolder: string): Promise<WatchedBuild> {
  await mkdir(temporaryOf(outFolder), { recursive: true })
  return watchBuild(['--no-verify', ...wordsFor(outFolder)], { TMPDIR: temporaryOf(outFolder) })
}

/** Builds until it is done. */
async function finish(outFolder: string): Promise<void> {
  await mkdir(temporaryOf(outFolder), { recursive: true })
  await complete(outFolder, {
    environment: { TMPDIR: temporaryOf(outFolder) },
    onRetry: (code) => tell(['', '', 'nothing', '', '', '', `by itself: ${code}`, '', '']),
  })
}

/** Phases that a build would still come to. */
async function phasesAhead(outFolder: string): Promise<readonly string[]> {
  const { stdout } = await systemvmImage(['plan', '--json', ...wordsFor(outFolder)])
  const [plan] = JSON.parse(stdout) as [
    { readonly layers: readonly { name: string; action: string }[]; readonly images: string },
  ]
  const toRun = plan.layers.filter(({ action }) => action === 'run').map(({ name }) => name)
  const isBooted = toRun.some((name) => name !== 'base' && name !== 'repack')
  return allPhases.filter((phase) => {
    if (phase === 'boot' || phase === 'shutdown') return isBooted
    if (phase === 'export kvm') return toRun.length > 0 || plan.images === 'to make'
    return phase === 'start' || toRun.includes(phase)
  })
}

const programs: Readonly<Record<Exclude<Victim, 'build'>, RegExp>> = {
  packer: /^packer build /,
  qemu: /^\S*qemu-system-\S+ .*-netdev /,
  'qemu-img': /^qemu-img convert /,
  mmdebstrap: /^\S*perl \S*mmdebstrap /,
}

/** Process of a victim; that of the build itself where the other does not run at the moment. */
async function findVictim(build: WatchedBuild, victim: Victim): Promise<{ name: Victim; pid: number }> {
  const own = { name: 'build' as const, pid: build.child.pid ?? 0 }
  const runId = build.runId()
  if (victim === 'build' || runId === undefined) return own
  const found = [...(await processesOfRun(runId))].find(([, line]) => programs[victim].test(line))
  return found === undefined ? own : { name: victim, pid: found[0] }
}

/** Kills at a moment. False when the build had ended before. */
async function kill(build: WatchedBuild, moment: Moment, row: string[]): Promise<boolean> {
  // A guest that was left asleep by an earlier kill is woken where another would boot.
  const names = moment.phase === 'boot' ? ['boot', 'wake'] : [moment.phase]
  let begun: BuildEvent | undefined
  if (moment.phase !== 'start') {
    begun = await build.event(
      (event) =>
        (event.kind === 'part-started' || event.kind === 'stage-started') && names.includes(event.name),
    )
    if (begun === undefined) return false
  }
  const isWaking = begun?.kind === 'part-started' && begun.name === 'wake'
  const usual = isWaking ? wakeSeconds : (usually.of(moment.phase) ?? startSeconds)
  const seconds = moment.share * usual
  await Promise.race([sleep(seconds * 1000), build.ended])
  if (build.child.exitCode !== null) return false
  const { name, pid } = await findVictim(build, moment.victim)
  row.push(name, moment.phase, build.running(), `${seconds.toFixed(1)}s`)
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It had ended by itself meanwhile.
  }
  return true
}

/** What has to hold as soon as a build has ended, however it did. */
async function expectSound(outFolder: string): Promise<void> {
  const verified = await systemvmImage(['store', 'verify', ...wordsFor(outFolder)])
  expect(verified.exitCode, verified.stdout).toBe(0)
  for (const name of await readdir(join(outFolder, 'images')).catch(() => [])) {
    if (name.endsWith('.qcow2')) await execa('qemu-img', ['check', '-q', join(outFolder, 'images', name)])
  }
}

/** What must not be there once a build has ended by itself: processes, mounts, folders, half files, the lock. */
async function expectClean(outFolder: string): Promise<void> {
  for (const run of await readdir(join(outFolder, 'runs'))) {
    expect([...(await processesOfRun(run)).values()], `left running by ${run}`).toEqual([])
    expect(await readdir(join(outFolder, 'runs', run))).not.toContain('unfinished')
  }
  expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(outFolder)
  expect(await readdir(temporaryOf(outFolder))).toEqual([])
  // apt has a lock of its own among the packages.
  const names = await readdir(outFolder, { recursive: true })
  expect(names.filter((name) => /^lock|\.tmp$|(^|\/)\.unfinished(\/|$)/.test(name))).toEqual([])
}

/** One kill, and what comes of it. Returns false when there was nothing left to kill. */
async function trial(outFolder: string, series: number): Promise<boolean> {
  const moment = drawMoment(random, await phasesAhead(outFolder))
  const row = [`${done + 1}`, `${series}`]
  const started = performance.now()
  const build = await start(outFolder)
  const recovering = build
    .event(({ kind }) => kind === 'run-started')
    .then((event) => (event === undefined ? '' : `${((performance.now() - started) / 1000).toFixed(1)}s`))
  const isKilled = await kill(build, moment, row)
  const { exitCode, signal, stderr } = await build.ended
  const recovered = await recovering
  const runId = build.runId()
  expect(stderr).not.toContain('bug')
  if (!isKilled) {
    if (exitCode === 0) return false
    const code = (await readReport(outFolder)).run.failure?.code ?? ''
    expect(code, stderr).toMatch(ofGuest)
    tell([...row, 'nothing', moment.phase, '', '', `by itself: ${code}`, '', recovered])
    return true
  }
  done += 1
  const left = runId === undefined ? 0 : (await processesOfRun(runId)).size
  if (signal === 'SIGKILL') {
    tell([...row, 'killed', `${left}`, recovered])
  } else {
    // Its report says what became of it, and nothing of it is left.
    const { run } = await readReport(outFolder)
    tell([...row, run.failure?.code ?? run.status, `${left}`, recovered])
    expect(exitCode, stderr).toBe(run.status === 'succeeded' ? 0 : 1)
    expect(run.failure?.code).not.toBe('unexpected')
    await expectClean(outFolder)
  }
  await expectSound(outFolder)
  return exitCode !== 0
}

it(
  'loses nothing, whatever is killed',
  async () => {
    for (let series = 1; done < trials; series += 1) {
      const outFolder = join(root, `${series}`)
      await linkCache(reference, outFolder)
      // One in five starts from nothing; the others have layer 0.
      if (random() < 0.8) await linkBase(reference, outFolder)
      const kills = 1 + Math.floor(random() * 4)
      for (let count = 0; count < kills && done < trials; count += 1) {
        if (!(await trial(outFolder, series))) break
      }
      await finish(outFolder)
      await expectSound(outFolder)
      await expectClean(outFolder)
      expect(await sumsIn({ outFolder })).toEqual(await sumsIn({ outFolder: reference }))
      tell(['', `${series}`, '', '', '', '', 'complete, same bytes', '', ''])
      await rm(outFolder, { recursive: true })
      await rm(temporaryOf(outFolder), { recursive: true })
    }
    await expectSound(reference)
  },
  Math.max(1, trials) * 300_000,
)
