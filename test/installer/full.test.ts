/**
 * A whole installation, and layer 0 of the one installer held against that of the other. Runs where the mirror serves udebs, or
 * where `INSTALLER_UDEBS` says what to do without: `remake` those that are missing of the .debs that were built with them, or
 * `<suite>=<keyring>`, a suite of the same mirror that has them. Takes an hour without KVM.
 */

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFailed, type TestContext } from 'vitest'
import { type Report, reportSchema } from '../../src/report/report.ts'
import { program, tinyPipeline } from '../e2e/program.ts'
import { tinyImage } from './live.ts'
import { findUdebs, type UdebSource } from './udeb-source.ts'

let folder: string
/** What an hour has made stays to be looked at when it is not what it should be. */
let isKept = false
let source: UdebSource | string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-installer-'))
  source = await findUdebs(await tinyImage(), folder)
})

afterAll(async () => {
  if (typeof source === 'object') source.close()
  if (isKept) process.stderr.write(`what was made is in ${folder}\n`)
  else await rm(folder, { recursive: true, force: true })
})

beforeEach(() =>
  onTestFailed(() => {
    isKept = true
  }),
)

describe('a whole installation', () => {
  const requireUdebs = (context: TestContext) => {
    // Skipped without a mirror that has the installer's packages.
    if (typeof source === 'string') context.skip(`no udebs to install with: ${source}`)
  }
  const run = (verb: string, installer: string, ...words: readonly string[]) => {
    const { mirror } = source as UdebSource
    const values = ['--set', `mirror=${JSON.stringify(mirror)}`]
    const common = ['--pipeline', tinyPipeline, '--out', join(folder, 'out'), '--installer', installer]
    return execa(process.execPath, [program, verb, ...words, ...common, ...values], {
      reject: false,
      timeout: 7_000_000,
      env: { CI: '1' },
    })
  }
  const readReport = async (): Promise<Report> =>
    reportSchema.parse(JSON.parse(await readFile(join(folder, 'out', 'report.json'), 'utf8')))

  it('makes a layer 0 that a stage runs on, with the time of each phase', async (context) => {
    requireUdebs(context)
    const result = await run('build', 'debian-installer', '--until', 'greet')
    expect(result.exitCode, result.stderr).toBe(0)
    const report = await readReport()
    expect(report.image.installer).toBe('debian-installer')
    expect(report.stages).toMatchObject([{ name: 'greet', status: 'ran' }])
    const phases = report.timings.map(({ name }) => name).filter((name) => name.startsWith('base '))
    expect(phases).toEqual(
      [
        'network',
        'preseed',
        'mirror',
        'components',
        'partitioning',
        'base system',
        'packages',
        'boot loader',
        'finish',
      ].map((phase) => `base ${phase}`),
    )
    // No question that was answered is one that nobody asked.
    expect(result.stderr).not.toContain('debian-installer has no question')
  })

  it('makes the same as the other installer, but for what is expected', async (context) => {
    requireUdebs(context)
    const other = await run('build', 'bootstrap', '--until', 'greet')
    expect(other.exitCode, other.stderr).toBe(0)
    const result = await run(
      'diff',
      'debian-installer',
      'base:bootstrap',
      'base:debian-installer',
      '--exit-code',
    )
    expect(result.exitCode, result.stdout).toBe(0)
  })

  it('is not made a second time', async (context) => {
    requireUdebs(context)
    const result = await run('build', 'debian-installer', '--until', 'greet')
    expect(result.exitCode, result.stderr).toBe(0)
    expect((await readReport()).stages).toMatchObject([{ name: 'greet', status: 'cached' }])
  })
})
