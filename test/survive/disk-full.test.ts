/** A disk that is full at the worst moments: what is said, what is left, and that a build with room goes on. */

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freeBytes } from '../../src/host/files.ts'
import type { BuildEvent } from '../../src/report/events.ts'
import type { Report } from '../../src/report/report.ts'
import { readReport, systemvmImage, tinyPipeline } from '../e2e/program.ts'
import { canMount } from '../support/small-disk.ts'
import { seedPackages } from './seed-packages.ts'
import { processesOfRun, watchBuild } from './watched-build.ts'

const reason = canMount ? '' : ' (only root may mount a disk)'
const mib = 1024 ** 2

// Skipped where no small disk can be mounted.
describe.skipIf(!canMount)(`on a disk that runs full${reason}`, () => {
  let root: string
  let outFolder: string
  const wordsFor = (...words: string[]) => ['--pipeline', tinyPipeline, '--out', outFolder, ...words]
  const mounted: string[] = []

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'survive-full-'))
    outFolder = await mountDisk('out')
    await seedPackages(outFolder)
  })

  afterAll(async () => {
    for (const folder of mounted) await execa('umount', [folder])
    await rm(root, { recursive: true, force: true })
  })

  /** A disk in memory, of a size that can be changed while it is used. */
  async function mountDisk(name: string): Promise<string> {
    const folder = join(root, name)
    await mkdir(folder)
    await execa('mount', ['-t', 'tmpfs', '-o', 'size=10g,mode=755', 'none', folder])
    mounted.push(folder)
    return folder
  }

  async function resize(folder: string, bytes: number): Promise<void> {
    await execa('mount', ['-o', `remount,size=${Math.ceil(bytes)}`, folder])
  }

  const giveRoom = (folder: string) => resize(folder, 10 * 1024 * mib)

  /** Leaves no more than so many bytes free. */
  async function fill(folder: string, leftBytes: number): Promise<void> {
    await giveRoom(folder)
    await resize(folder, 10 * 1024 * mib - (await freeBytes(folder)) + leftBytes)
  }

  interface Failed {
    readonly report: Report
    readonly stderr: string
    readonly text: string
  }

  /** Builds, and fills a disk as soon as something has happened; the build has to fail for it. */
  async function buildUntilFull(
    disk: string,
    leftBytes: number,
    moment: (event: BuildEvent) => boolean,
    words: readonly string[] = [],
    environment: Readonly<Record<string, string>> = {},
  ): Promise<Failed> {
    const build = watchBuild(wordsFor(...words), environment)
    const event = await build.event(moment)
    expect(event, 'the moment came').toBeDefined()
    await fill(disk, leftBytes)
    const { exitCode, stderr } = await build.ended
    expect(exitCode, stderr).toBe(1)
    expect(stderr).not.toContain('bug')
    expect([...(await processesOfRun(build.runId() ?? '')).values()]).toEqual([])
    const last = build.events.at(-1)
    if (last?.kind !== 'run-finished') throw new Error(`the last event is ${last?.kind}`)
    const { failure } = last.report.run
    return { report: last.report, stderr, text: `${failure?.message}; ${failure?.hint}` }
  }

  /** What must not be there: half files under final names, or anything that nobody will use. */
  async function expectNothingHalf(): Promise<void> {
    const store = await readdir(join(outFolder, 'store')).catch(() => [])
    const [disks, records] = ['.qcow2', '.json'].map((ending) =>
      // Beside the layers there are the digests that are known of them.
      store.flatMap((name) =>
        /^[0-9a-f]{64}\./.test(name) && name.endsWith(ending) ? [name.slice(0, 64)] : [],
      ),
    )
    expect(disks?.sort()).toEqual(records?.sort())
    const images = await readdir(join(outFolder, 'images')).catch(() => [])
    expect(images.filter((name) => !/^\w+sum\.txt$|^metadata|^\./.test(name))).toEqual([])
    expect(images.filter((name) => /\.tmp$|^\.unfinished$/.test(name))).toEqual([])
    const verified = await systemvmImage(['store', 'verify', ...wordsFor()])
    expect(verified.exitCode, verified.stdout).toBe(0)
  }

  const started = (name: string) => (event: BuildEvent) =>
    (event.kind === 'part-started' || event.kind === 'stage-started') && event.name === name

  it('while mmdebstrap works: names the folder it works in, and TMPDIR', async () => {
    const work = await mountDisk('work')
    const failed = await buildUntilFull(work, 100 * mib, started('base'), [], { TMPDIR: work })
    expect(failed.report.run.failure?.code).toBe('disk-full')
    expect(failed.text).toContain(`the disk that holds ${work} is full`)
    expect(failed.text).toContain('TMPDIR')
    expect(await readdir(work)).toEqual([])
    await expectNothingHalf()
  })

  it('while layer 0 is written to the store', async () => {
    const isWriting = (event: BuildEvent) =>
      event.kind === 'part-progress' && event.text === 'writing the disk'
    const failed = await buildUntilFull(outFolder, 10 * mib, isWriting)
    expect(failed.report.run.failure?.code).toBe('disk-full')
    expect(failed.text).toContain(`the disk that holds ${outFolder} is full; free some space there`)
    await expectNothingHalf()
    expect(await readdir(join(outFolder, 'store'))).toEqual([])
  })

  it('while a stage writes: keeps the layers below, and goes on from them', async () => {
    await giveRoom(outFolder)
    const failed = await buildUntilFull(outFolder, 20 * mib, started('misbehave'), [
      '--set',
      'stages.misbehave.how=fill',
    ])
    expect(failed.report.run.failure?.code).toBe('disk-full')
    expect(failed.text).toContain(
      `the disk that holds ${join(outFolder, 'store')} is full; free some space there`,
    )
    await expectNothingHalf()
    expect(failed.report.stages.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'greet ran',
      'unpack ran',
      'misbehave failed',
    ])
  })

  it('so that nothing at all can be written, not even a log', async () => {
    await giveRoom(outFolder)
    // One that wakes may use the room of the states that it drops.
    const words = ['--set', 'machine.savedStatesMiB=0']
    const failed = await buildUntilFull(outFolder, 0, started('boot'), words)
    expect(failed.report.run.failure?.code).toMatch(/^disk-full$/)
    await expectNothingHalf()
    // The command that comes next has something to say as well.
    const next = await systemvmImage(['build', ...wordsFor()])
    expect(next.exitCode, next.stderr).toBe(3)
    expect(next.stderr).toMatch(/not enough disk space|is full/)
  })

  it('while images are made: goes on with them alone', async () => {
    await giveRoom(outFolder)
    const failed = await buildUntilFull(outFolder, 5 * mib, started('export kvm'))
    expect(failed.report.run.failure?.code).toBe('export-failed')
    expect(failed.text).toContain(`image ${join(outFolder, 'images', 'tiny-1.0-x86_64-kvm.qcow2')}`)
    expect(failed.text).toContain('its disk is full; free some space there')
    await expectNothingHalf()
    await giveRoom(outFolder)
    const { exitCode, stderr } = await systemvmImage(['build', ...wordsFor()])
    expect(exitCode, stderr).toBe(0)
    const report = await readReport(outFolder)
    expect(report.stages.map(({ status }) => status)).toEqual(['cached', 'cached', 'cached'])
  })
})
