/** The engine with real Packer and real QEMU, on a pipeline that is small enough for a host without KVM. */

import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { $ as shell } from 'zx'
import { loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { type PlacedPartition, placePartitions, sectorBytes } from '../../src/disk/layout.ts'
import { sha256File } from '../../src/host/hash-file.ts'
import { readInputs } from '../../src/provenance/inputs.ts'
import type { Report } from '../../src/report/report.ts'
import { processesOf } from './processes.ts'
import { readReport, systemvmImage, tinyPipeline } from './program.ts'

const $ = shell({ quiet: true, timeout: '2m' })
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const stageOf = (report: Report, name: string) => report.stages.find((stage) => stage.name === name)

let outFolder: string
const build = (...extra: string[]) =>
  systemvmImage(['build', '--pipeline', tinyPipeline, '--out', outFolder, ...extra])

beforeAll(async () => {
  outFolder = await mkdtemp(join(tmpdir(), 'systemvm-e2e-'))
})

afterAll(async () => {
  expect(await commandsOf(outFolder), 'left running').toEqual([])
  await rm(outFolder, { recursive: true, force: true })
})

const commandsOf = async (folder: string) => (await processesOf(folder)).map(({ command }) => command)

describe('a build from nothing', () => {
  let report: Report

  beforeAll(async () => {
    const result = await build()
    expect(result.exitCode, result.stderr).toBe(0)
    expect(result.stdout.trim()).toBe(join(outFolder, 'images', 'tiny-1.0-x86_64-kvm.qcow2'))
    report = await readReport(outFolder)
  })

  it('runs every stage and says how long each took', () => {
    expect(report.run.status).toBe('succeeded')
    expect(report.stages.map(({ name, status }) => [name, status])).toEqual([
      ['greet', 'ran'],
      ['unpack', 'ran'],
      ['misbehave', 'ran'],
    ])
    for (const stage of report.stages) {
      expect(stage.build_time, stage.name).toBeGreaterThan(0)
      expect(stage.build_time, stage.name).toBeLessThan(report.run.durationSeconds)
      expect(stage.layer?.sha256, stage.name).toMatch(/^[0-9a-f]{64}$/)
    }
  })

  it("checksums in the guest what each stage promised, with the script's environment as it was written", () => {
    const greeting = 'it\'s "quoted" ${dollar} {{braces}} 100%{percent}\n'
    expect(stageOf(report, 'greet')?.artifacts).toEqual([
      {
        path: '/etc/greeting',
        type: 'file',
        mode: '644',
        sizeBytes: greeting.length,
        sha256: sha256(greeting),
      },
    ])
    const script = stageOf(report, 'unpack')?.artifacts.find(({ path }) => path === '/opt/tree/run.sh')
    expect(script?.mode).toBe('755')
    const link = stageOf(report, 'unpack')?.artifacts.find(({ path }) => path === '/opt/link')
    expect(link).toMatchObject({ type: 'link', sha256: sha256('tree/run.sh') })
  })

  it('says which packages a stage changed', () => {
    expect(stageOf(report, 'unpack')?.packages.removed.map(({ name }) => name)).toEqual(['nano'])
    expect(stageOf(report, 'greet')?.packages).toEqual({ added: [], removed: [], upgraded: [] })
  })

  it('keeps a log for each stage', async () => {
    const log = await readFile(join(outFolder, stageOf(report, 'unpack')?.log ?? ''), 'utf8')
    expect(log).toContain('ran from the tree')
    expect(log).not.toContain('@stage')
  })

  it('leaves a sound image with checksums that hold', async () => {
    const [image] = report.images
    await $`qemu-img check ${join(outFolder, image?.path ?? '')}`
    for (const algorithm of ['sha256', 'sha512']) {
      await $({ cwd: join(outFolder, 'images') })`${algorithm}sum --check ${algorithm}sum.txt`
    }
  })

  it('seals what a guest had written out: no journal is left to be replayed', async () => {
    const { images } = await loadPipeline(tinyPipeline, [])
    const { partitions } = placePartitions((images[0] as ResolvedImage).disk, '')
    const root = partitions.find(({ mount }) => mount === '/') as PlacedPartition
    for (const { name, key } of report.stages) {
      const raw = join(outFolder, 'layer.raw')
      await $`qemu-img convert -O raw ${join(outFolder, 'store', `${key}.qcow2`)} ${raw}`
      const filesystem = `${raw}?offset=${root.startSector * sectorBytes}`
      const { stdout } = await $`PATH=$PATH:/usr/sbin debugfs -R ${'show_super_stats -h'} ${filesystem}`
      await rm(raw)
      expect(stdout, name).toMatch(/Filesystem features:.* has_journal /)
      expect(stdout, name).not.toContain('needs_recovery')
    }
  })

  it('records what the image was made from, as its own apt had it signed', async () => {
    const [image] = report.images
    const inputs = await readInputs(outFolder, image?.madeFrom ?? '')
    expect(inputs?.archives.map(({ suite }) => suite)).toEqual([
      'trixie',
      'trixie-updates',
      'trixie-security',
    ])
    for (const { suite, signers } of inputs?.archives ?? []) expect(signers.length, suite).toBeGreaterThan(0)
    expect(inputs?.packages.length).toBeGreaterThan(100)
    expect(inputs?.packages.filter(({ sha256 }) => sha256 === null)).toEqual([])
    expect(inputs?.packages.map(({ name }) => name)).not.toContain('nano')
    expect(inputs?.layers.map(({ name }) => name)).toEqual(['base', 'greet', 'unpack', 'misbehave', 'repack'])
    expect(report.pinned).toEqual({ snapshot: null, lock: null })
  })

  it('can be locked, and held to the lock', async () => {
    const words = ['--pipeline', join(outFolder, 'locked', 'pipeline.mts'), '--out', outFolder]
    // The lock lies beside the pipeline, and this one is nobody's to keep.
    await mkdir(join(outFolder, 'locked'))
    await writeFile(join(outFolder, 'locked', 'pipeline.mts'), `export { default } from '${tinyPipeline}'\n`)
    expect((await systemvmImage(['lock', 'update', ...words])).exitCode).toBe(0)
    const same = await systemvmImage(['build', '--locked', ...words])
    expect(same.exitCode, same.stderr).toBe(0)
    expect((await readReport(outFolder)).pinned?.lock).toMatch(/^[0-9a-f]{64}$/)
    const lock = join(outFolder, 'locked', 'pipeline.lock.yaml')
    await writeFile(lock, (await readFile(lock, 'utf8')).replace(/(adduser:[\s\S]*?version: )\S+/, '$1"0"'))
    const other = await systemvmImage(['build', '--locked', ...words])
    expect(other.exitCode).toBe(1)
    expect(other.stderr).toContain('package adduser: 0 → ')
  })

  it('shows its report as a page, beside each of both', async () => {
    const pageOf = (folder: string) => readFile(join(folder, 'report.html'), 'utf8')
    const page = await pageOf(join(outFolder, 'runs', report.run.id))
    for (const { name } of report.stages) expect(page).toContain(`>${name}</th>`)
    expect(report.stages.every(({ startedSeconds = 0 }) => startedSeconds > 0)).toBe(true)
    const { run: last } = JSON.parse(await readFile(join(outFolder, 'report.json'), 'utf8')) as Report
    expect(await pageOf(outFolder)).toBe(await pageOf(join(outFolder, 'runs', last.id)))
  })

  it('writes no key of the build to any log', async () => {
    const run = join(outFolder, 'runs', report.run.id)
    for (const name of await readdir(run)) {
      const text = await readFile(join(run, name), 'utf8').catch(() => '')
      expect(text, name).not.toContain('PRIVATE KEY')
    }
  })

  it('does nothing the second time, and says so with the times of the first', async () => {
    const again = await build()
    expect(again.exitCode, again.stderr).toBe(0)
    const cached = await readReport(outFolder)
    expect(cached.stages.map(({ status }) => status)).toEqual(['cached', 'cached', 'cached'])
    expect(cached.stages.map(({ build_time }) => build_time)).toEqual(
      report.stages.map(({ build_time }) => build_time),
    )
    expect(cached.stages.map(({ artifacts }) => artifacts)).toEqual(
      report.stages.map(({ artifacts }) => artifacts),
    )
    expect(cached.images).toEqual(report.images)
    expect(cached.host.accelerator, 'no guest was started').toBeNull()
  })
})

describe('a stage that goes wrong', () => {
  const failing = async (how: string) => {
    const result = await build('--set', `stages.misbehave.how=${how}`)
    expect(result.exitCode, result.stderr).toBe(1)
    const report = await readReport(outFolder)
    expect(report.run.status).toBe('failed')
    // It went on after the last stage that is still good.
    expect(stageOf(report, 'unpack')?.status).toBe('cached')
    expect(stageOf(report, 'misbehave')?.status).toBe('failed')
    expect(await commandsOf(outFolder)).toEqual([])
    return { result, report }
  }

  it('is named with its exit status and its last lines', async () => {
    const { result, report } = await failing('exit')
    expect(stageOf(report, 'misbehave')?.exitStatus).toBe(7)
    expect(result.stderr).toContain('stage misbehave failed with exit status 7')
    expect(result.stderr).toContain('this is the last line before it fails')
  })

  it('is named when it breaks a promise', async () => {
    const { result, report } = await failing('promise')
    expect(report.run.failure?.code).toBe('promise-broken')
    expect(result.stderr).toContain('stage misbehave broke a promise: it left no /etc/never-made')
  })

  it('is stopped when it overruns its time', async () => {
    const { report } = await failing('hang')
    expect(report.run.failure?.code).toBe('stage-timeout')
  })

  it('is told from a guest that panics, before its time is up', async () => {
    const { result, report } = await failing('panic')
    expect(report.run.failure?.code).toBe('guest-panicked')
    expect(result.stderr).toContain('Kernel panic - not syncing')
  })

  it('is told from a guest that vanishes, before its time is up', async () => {
    const { report } = await failing('power-off')
    expect(report.run.failure?.code).toBe('guest-vanished')
  })
})

describe('tools of XenServer', () => {
  const withTools = async (program: string) => {
    const folder = join(outFolder, 'tools')
    await mkdir(join(folder, 'deb', 'DEBIAN'), { recursive: true })
    await mkdir(join(folder, 'deb', 'usr', 'sbin'), { recursive: true })
    const fields = ['Package: xe-guest-utilities', 'Version: 7.20.2-0', 'Architecture: all']
    const more = ['Maintainer: Nobody <nobody@example.org>', 'Description: stands for the guest utilities']
    await writeFile(join(folder, 'deb', 'DEBIAN', 'control'), `${[...fields, ...more].join('\n')}\n`)
    await writeFile(join(folder, 'deb', 'usr', 'sbin', 'xe-daemon'), '#!/bin/sh\n', { mode: 0o755 })
    await $`dpkg-deb --root-owner-group --build ${join(folder, 'deb')} ${join(folder, 'tools.deb')}`
    await writeFile(join(folder, 'vhd-util'), program)
    const setting = async (name: string, file: string) => [
      '--set',
      `stages.install_xen_tools.${name}=${join(folder, file)}#sha256=${await sha256File(join(folder, file))}`,
    ]
    return build(...(await setting('vhdUtil', 'vhd-util')), ...(await setting('guestUtilities', 'tools.deb')))
  }

  it('are installed from where somebody said, and only if they run', async () => {
    const strange = await withTools('#!/nowhere/ld-linux.so.2\n')
    expect(strange.exitCode, strange.stderr).toBe(1)
    expect(strange.stderr).toContain('vhd-util ends with 127 here')

    const result = await withTools('#!/bin/sh\nexit 22\n')
    expect(result.exitCode, result.stderr).toBe(0)
    const stage = stageOf(await readReport(outFolder), 'install_xen_tools')
    expect(stage?.artifacts?.map(({ path }) => path)).toEqual(['/usr/bin/vhd-util'])
    expect(stage?.packages?.added).toEqual([{ name: 'xe-guest-utilities', version: '7.20.2-0' }])
  })
})

describe('a saved state', () => {
  const statesFolder = () => join(outFolder, 'store', 'states')
  const namesOf = async (extension: string) =>
    (await readdir(statesFolder())).filter((name) => name.endsWith(extension))

  it('is what the next build goes on from, without booting', async () => {
    const result = await build('--set', 'stages.misbehave.how=exit')
    expect(result.exitCode, result.stderr).toBe(1)
    const { timings, stages } = await readReport(outFolder)
    expect(timings.map(({ name }) => name)).toContain('wake')
    expect(timings.map(({ name }) => name)).not.toContain('boot')
    expect(stages.at(-1)).toMatchObject({ name: 'misbehave', status: 'failed', exitStatus: 7 })
  })

  it('gives the guest the time of the host, files of this run, and no folder that services cannot enter', async () => {
    const result = await build('--from', 'misbehave', '--until', 'misbehave')
    expect(result.exitCode, result.stderr).toBe(0)
    const report = await readReport(outFolder)
    expect(report.timings.map(({ name }) => name)).toContain('wake')
    const command = ['sh', '-c', 'stat -c %Z "$1"; stat -c %a "$2"', 'sh', '/etc/clock', '/run/systemd']
    const { stdout } = await systemvmImage(
      ['shell', '--pipeline', tinyPipeline, '--out', outFolder, 'misbehave', '--', ...command],
      300,
    )
    const [clock, mode] = stdout.split('\n')
    expect(mode).toBe('755')
    // Its own clock may be a second off.
    expect(Number(clock)).toBeGreaterThanOrEqual(Date.parse(report.run.startedAt) / 1000 - 1)
    expect(Number(clock)).toBeLessThanOrEqual(Date.parse(report.run.finishedAt) / 1000 + 1)
  })

  it('that does not wake costs a line and a boot, and is gone', async () => {
    const damaged = await namesOf('.zst')
    for (const name of damaged) {
      // What QEMU can't read, in a record that says it is right.
      const memory = join(statesFolder(), name)
      await $`head -c 100000 /dev/zero | zstd -q -f -o ${memory}`
      const record = memory.replace('.zst', '.json')
      const fields = JSON.parse(await readFile(record, 'utf8')) as object
      await writeFile(record, JSON.stringify({ ...fields, sha256: await sha256File(memory) }))
    }
    const result = await build('--set', 'stages.misbehave.how=exit')
    expect(result.exitCode, result.stderr).toBe(1)
    expect(result.stderr).toMatch(
      /the guest did not resume from its saved state, which is removed .*; it is booted again/,
    )
    const { timings, run } = await readReport(outFolder)
    expect(run.failure?.code).toBe('stage-failed')
    expect(timings.map(({ name }) => name)).toContain('boot')
  })
})

describe('a build that is ended from outside', () => {
  const startAndWaitForPacker = async () => {
    const running = build('--set', 'stages.misbehave.how=exit')
    for (let tries = 0; tries < 300; tries += 1) {
      const qemu = (await commandsOf(outFolder)).some((line) => line.startsWith('/usr/bin/qemu-system'))
      if (qemu) return { running }
      await sleep(100)
    }
    throw new Error('QEMU did not start')
  }

  it('stops cleanly on SIGINT and leaves nothing running', async () => {
    const { running } = await startAndWaitForPacker()
    running.kill('SIGINT')
    const result = await running
    expect(result.exitCode, result.stderr).toBe(130)
    expect((await readReport(outFolder)).run.status).toBe('interrupted')
    expect(await commandsOf(outFolder)).toEqual([])
  })

  it('says so when Packer is killed', async () => {
    const { running } = await startAndWaitForPacker()
    for (const { pid, command } of await processesOf(outFolder))
      if (command.startsWith('packer build ')) process.kill(pid, 'SIGKILL')
    const result = await running
    expect(result.exitCode, result.stderr).toBe(1)
    expect((await readReport(outFolder)).run.failure?.code).toBe('packer-died')
    expect(await commandsOf(outFolder)).toEqual([])
  })

  it('leaves nothing that the next build trips over when it is killed itself', async () => {
    const { running } = await startAndWaitForPacker()
    running.kill('SIGKILL')
    await running
    const result = await build()
    expect(result.exitCode, result.stderr).toBe(0)
    expect(await commandsOf(outFolder)).toEqual([])
    await access(join(outFolder, 'images', 'tiny-1.0-x86_64-kvm.qcow2'))
  })
})

describe('an output folder that was moved', () => {
  it('is gone on with, and a damaged layer in it is named and made again, with those above it', async () => {
    const moved = `${outFolder}-moved`
    await rename(outFolder, moved)
    outFolder = moved
    const same = await build()
    expect(same.exitCode, same.stderr).toBe(0)
    const before = await readReport(outFolder)
    expect(before.host.accelerator, 'no guest was started').toBeNull()

    const { key = '' } = stageOf(before, 'unpack') ?? {}
    const disk = await open(join(outFolder, 'store', `${key}.qcow2`), 'r+')
    const { size } = await disk.stat()
    const { buffer } = await disk.read(Buffer.alloc(1), 0, 1, size - 1)
    await disk.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, size - 1)
    await disk.close()
    await rm(join(outFolder, 'images'), { recursive: true })
    const verified = await systemvmImage(['store', 'verify', '--pipeline', tinyPipeline, '--out', outFolder])
    expect(verified.exitCode).toBe(4)
    expect(verified.stdout).toContain(`unpack ${key}: its disk does not match its digest`)

    const mended = await build()
    expect(mended.exitCode, mended.stderr).toBe(0)
    expect(mended.stderr).toContain('the layer of unpack is damaged')
    const after = await readReport(outFolder)
    expect(after.stages.map(({ status }) => status)).toEqual(['cached', 'ran', 'ran'])
    expect(after.stages.map(({ artifacts }) => artifacts)).toEqual(
      before.stages.map(({ artifacts }) => artifacts),
    )
  })
})
