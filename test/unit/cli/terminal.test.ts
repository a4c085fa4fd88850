import { readFileSync } from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import picocolors from 'picocolors'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createTerminal } from '../../../src/cli/terminal.ts'
import { createTerminalReporter } from '../../../src/cli/views/progress.ts'
import type { BuildEvent } from '../../../src/report/events.ts'
import type { Report, StageResult } from '../../../src/report/report.ts'

const readReport = (name: string): Report =>
  JSON.parse(readFileSync(new URL(`../../fixtures/reports/${name}.json`, import.meta.url), 'utf8')) as Report
const succeeded = readReport('succeeded')
const failed = readReport('failed')

const [greet, unpack] = succeeded.stages as [StageResult, StageResult]
const broken: StageResult = {
  ...greet,
  status: 'failed',
  exitStatus: 7,
  layer: null,
  failure: { code: 'stage-failed', message: 'stage greet failed with exit status 7' },
}

/** A run from begin to end, with a failed stage in it. */
const events: readonly BuildEvent[] = [
  {
    kind: 'run-started',
    runId: 'run',
    variant: 'trixie-x86_64',
    ahead: [
      { name: 'base', cached: true, estimateSeconds: 60 },
      { name: 'greet', cached: false, estimateSeconds: 1 },
      { name: 'unpack', cached: false, estimateSeconds: 20 },
    ],
    estimateSeconds: 61,
    assumesEmulation: false,
    room: { peakBytes: 2 * 1024 ** 3, isKnown: true, freeBytes: 3 * 1024 ** 3 },
  },
  { kind: 'stage-finished', stage: { ...greet, name: 'earlier', status: 'cached' } },
  { kind: 'part-started', name: 'boot', estimateSeconds: 40 },
  { kind: 'note', text: 'without KVM: /dev/kvm is not there' },
  { kind: 'part-finished', name: 'boot', seconds: 39.2, text: 'tcg' },
  { kind: 'stage-started', name: 'unpack', estimateSeconds: undefined },
  { kind: 'stage-output', name: 'unpack', text: 'Reading package lists...' },
  { kind: 'stage-finished', stage: unpack },
  { kind: 'stage-started', name: 'greet', estimateSeconds: 1 },
  { kind: 'stage-finished', stage: broken },
]

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
  vi.useRealTimers()
})

/** A reporter with a clock that is set by hand, and what it wrote. */
function report({ isLive = false, color = false, columns = 100 } = {}) {
  let now = 0
  const written: string[] = []
  const { emit, close } = createTerminalReporter({
    write: (text) => written.push(text),
    replaceLines: (count, text) => written.push(`${count > 0 ? '\r\u001b[K' : ''}${text}`),
    isLive,
    hasBoard: false,
    columns: () => columns,
    rows: () => 24,
    outFolder: 'out',
    colors: picocolors.createColors(color),
    nowMs: () => now,
  })
  closers.push(close)
  const wait = (ms: number) => {
    now += ms
  }
  return { emit, close, wait, text: () => written.join(''), written }
}

/** What a terminal shows in the end: each line after the last time it was drawn over. */
function shown(text: string): readonly string[] {
  return text.split('\n').map((line) => stripVTControlCharacters(line.split('\r\u001b[K').at(-1) ?? ''))
}

describe('without a terminal', () => {
  it('has plain lines alone: no cursor movement, no color, nothing written twice', () => {
    const { emit, text } = report()
    for (const event of events) emit(event)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text()).not.toMatch(/[\u001b\r]/)
    const lines = text().trimEnd().split('\n')
    expect(new Set(lines).size).toBe(lines.length)
    expect(text()).not.toContain('Reading package lists')
  })

  it('says what begins, how long it will take, and how it ended', () => {
    const { emit, text } = report()
    for (const event of events) emit(event)
    const lines = text().trimEnd().split('\n')
    expect(lines[0]).toBe('trixie-x86_64 2 of 3 layers to make, about 1m 01s, about 2.0 GiB')
    expect(lines[1]).toMatch(/^● earlier +cached {2}a2bb0b1a2229$/)
    expect(lines[2]).toBe('● boot (about 40.0s)')
    expect(lines[3]).toBe('! without KVM: /dev/kvm is not there')
    expect(lines[4]).toMatch(/^✔ boot +39\.2s {2}tcg$/)
    expect(lines[5]).toBe('● unpack')
    expect(lines[6]).toMatch(/^✔ unpack +19\.0s {2}3 artifacts, -1, 136\.0 MiB$/)
    expect(lines[8]).toMatch(/^✖ greet +0\.6s {2}exit 7 {2}.*stages\/01-greet\.log$/)
  })

  it('says once a minute what is running, since when, and how far it is', () => {
    vi.useFakeTimers()
    const { emit, wait, written } = report()
    const pass = (ms: number) => {
      wait(ms)
      vi.advanceTimersByTime(ms)
    }
    emit({ kind: 'part-started', name: 'verify kvm', estimateSeconds: 240 })
    emit({ kind: 'part-progress', name: 'verify kvm', text: '3 of 15 scenes, 31 checks' })
    pass(59_000)
    expect(written).toHaveLength(1)
    pass(61_000)
    expect(written).toHaveLength(3)
    expect(written[2]).toMatch(/^… verify kvm +2m 00s of about 4m 00s {2}3 of 15 scenes, 31 checks\n$/)
    emit({ kind: 'part-finished', name: 'verify kvm', seconds: 120 })
    pass(120_000)
    expect(written).toHaveLength(4)
  })

  it('aligns the times of all stages', () => {
    const { emit, text } = report()
    for (const event of events) emit(event)
    const ends = text()
      .split('\n')
      .flatMap((line) => /^[✔✖] .{30} +[\d.]+s(?= )/.exec(line)?.[0].length ?? [])
    expect(ends.length).toBe(3)
    expect(new Set(ends).size).toBe(1)
  })
})

describe('on a terminal', () => {
  it('draws one line over and over for what runs, with its time, estimate and last output', () => {
    const { emit, wait, written } = report({ isLive: true })
    emit({ kind: 'stage-started', name: 'unpack', estimateSeconds: 20 })
    wait(3000)
    emit({ kind: 'stage-output', name: 'unpack', text: 'Reading package lists...' })
    const live = written.at(-1) ?? ''
    expect(live.startsWith('\r\u001b[K')).toBe(true)
    expect(live).not.toContain('\n')
    expect(stripVTControlCharacters(live).trim()).toMatch(
      /^● unpack +3\.0s of about 20\.0s {2}Reading package lists\.\.\.$/,
    )
  })

  it('leaves in the end what is written without one, but for what only runs', () => {
    const [live, plain] = [report({ isLive: true, color: true }), report()]
    for (const event of events) {
      live.emit(event)
      plain.emit(event)
    }
    live.close()
    const began = /^● (boot|unpack|greet)\b/
    const finished = (text: string) => shown(text).filter((line) => line !== '' && !began.test(line))
    expect(finished(live.text())).toEqual(finished(plain.text()))
  })

  it('never writes a live line that is wider than the terminal', () => {
    const { emit, wait, written } = report({ isLive: true, columns: 60 })
    emit({ kind: 'stage-started', name: 'unpack', estimateSeconds: 20 })
    wait(1000)
    emit({ kind: 'stage-output', name: 'unpack', text: 'x'.repeat(500) })
    for (const text of written) expect(stripVTControlCharacters(text).trim().length).toBeLessThan(60)
  })

  it('shows the output of a stage as one line, whatever characters are in it', () => {
    const { emit, wait, written } = report({ isLive: true })
    emit({ kind: 'stage-started', name: 'unpack', estimateSeconds: undefined })
    wait(1000)
    emit({ kind: 'stage-output', name: 'unpack', text: '10%\r\u001b[2J\u001b[31m20%\tdone' })
    const [live = ''] = written.slice(-1)
    const body = live.replace('\r\u001b[K', '')
    expect(body).not.toContain('\r')
    expect(body).not.toContain('\u001b[2J')
    expect(body).toContain('20%')
  })

  it('removes its live line when nothing runs any more', () => {
    const { emit, close, text } = report({ isLive: true })
    emit({ kind: 'stage-started', name: 'unpack', estimateSeconds: undefined })
    close()
    expect(shown(text()).join('')).toBe('')
  })
})

describe('the summary', () => {
  const summary = (of: Report) => {
    const { emit, text } = report()
    emit({ kind: 'run-finished', report: of })
    return text()
  }

  it('has a line for every part and stage, with time, share and size', () => {
    const text = summary(succeeded)
    expect(text).toMatch(/^part +status +time +share +layer$/m)
    expect(text).toMatch(/^boot +ran +39\.2s +47 %$/m)
    expect(text).toMatch(/^unpack +ran +19\.0s +23 % +136\.0 MiB$/m)
    const rows = text.split('\n').filter((line) => / (ran|cached|failed|skipped) /.test(line))
    expect(rows).toHaveLength(succeeded.timings.length + succeeded.stages.length)
  })

  it('has the stages between the boot and the export, as they ran', () => {
    const names = summary(succeeded).match(/^(boot|greet|unpack|misbehave|export kvm)\b/gm)
    expect(names).toEqual(['boot', 'greet', 'unpack', 'misbehave', 'export kvm'])
  })

  it('names each image with its size and checksum, and how long it all took', () => {
    const text = summary(succeeded)
    const [image] = succeeded.images
    expect(text).toContain(`${image?.path}  214.9 MiB`)
    expect(text).toContain(`sha256 ${image?.sha256}`)
    expect(text).toContain('✔ tiny trixie-x86_64 built in 1m 24s')
  })

  it('of a failed run says what happened, what to do, and the last lines', () => {
    const text = summary(failed)
    expect(text).toContain(`✖ ${failed.run.failure?.message}`)
    expect(text).toContain(failed.run.failure?.hint)
    for (const line of failed.run.failure?.lastLines ?? []) expect(text).toContain(`│ ${line}`)
    expect(text).toMatch(/^greet +skipped$/m)
    expect(text).not.toContain('is built')
  })
})

describe('colors and live lines', () => {
  const terminal = (env: Record<string, string>, tty: { stdout: boolean; stderr: boolean }) =>
    createTerminal({
      env,
      stdout: { isTTY: tty.stdout, write: () => true },
      stderr: { isTTY: tty.stderr, write: () => true, columns: 80 },
    } as unknown as NodeJS.Process)
  const both = { stdout: true, stderr: true }

  it.each([
    ['on a terminal', {}, both, true, true],
    ['with NO_COLOR', { NO_COLOR: '1' }, both, false, true],
    ['with an empty NO_COLOR', { NO_COLOR: '' }, both, true, true],
    ['in CI', { CI: 'true' }, both, true, false],
    ['on a dumb terminal', { TERM: 'dumb' }, both, false, false],
    ['without a terminal', {}, { stdout: false, stderr: false }, false, false],
  ])('%s', (_case, env, tty, hasColors, isLive) => {
    const found = terminal(env, tty)
    expect(found.colors.isColorSupported).toBe(hasColors)
    expect(found.isLive).toBe(isLive)
  })

  it('are the only control of a terminal or of a CI system that gets out', () => {
    const written: string[] = []
    const stream = { isTTY: true, columns: 80, write: (text: string) => written.push(text) }
    const { out, error, replaceLines, colors } = createTerminal({
      env: {},
      stdout: stream,
      stderr: stream,
    } as unknown as NodeJS.Process)
    out(`${colors.red('✖')} \u001b]0;title\u0007\n::warning::base\n`)
    error('##[error]x\r')
    replaceLines(1, '')
    replaceLines(3, 'two\nlines\u001b[2J')
    expect(written).toEqual([
      '\u001b[31m✖\u001b[39m \\u001b]0;title\\u0007\n\\u003a:warning::base\n',
      '\\u0023#[error]x\\u000d',
      '\r\u001b[K',
      '\r\u001b[2A\u001b[Jtwo\nlines\\u001b[2J',
    ])
  })

  it('do not get into a result that goes into a file', () => {
    const results: string[] = []
    const { out, colors } = createTerminal({
      env: {},
      stdout: { isTTY: false, write: (text: string) => results.push(text) },
      stderr: { isTTY: true, write: () => true },
    } as unknown as NodeJS.Process)
    expect(colors.isColorSupported).toBe(true)
    out(`${colors.bold('trixie-x86_64')}\n`)
    expect(results.join('')).toBe('trixie-x86_64\n')
  })
})

it('gives a CI system no command that a color hid', () => {
  let written = ''
  const stdout = { isTTY: false, write: (text: string) => (written += text) }
  const stderr = { isTTY: true, write: () => true }
  createTerminal({ stdout, stderr, env: {} } as unknown as NodeJS.Process).out('\u001b[31m::error::x\n')
  expect(written).not.toMatch(/^::/m)
  expect(written).toContain('error')
})
