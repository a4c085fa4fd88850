/** What is on the screen of a terminal, by xterm.js: the emulator of VS Code and many others. */

import xterm from '@xterm/headless'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createTerminal, reportTo } from '../../../src/cli/terminal.ts'
import type { BuildEvent } from '../../../src/report/events.ts'

const closers: (() => void)[] = []
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => {
  for (const close of closers.splice(0)) close()
  vi.useRealTimers()
})

function screenOf(columns: number, rows: number, env: Readonly<Record<string, string>> = {}) {
  const emulator = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true, convertEol: true })
  const stderr = {
    isTTY: true,
    columns,
    rows,
    write: (text: string) => emulator.write(text),
  }
  const terminal = createTerminal({ env, stdout: { isTTY: true }, stderr } as unknown as NodeJS.Process)
  const reporter = reportTo(terminal, 'out', { ui: true })
  closers.push(reporter.close)
  const lines = async (): Promise<readonly string[]> => {
    await new Promise<void>((resolve) => emulator.write('', resolve))
    const { active } = emulator.buffer
    const all = Array.from(
      { length: active.length },
      (_, row) => active.getLine(row)?.translateToString(true) ?? '',
    )
    return all.slice(0, all.findLastIndex((line) => line !== '') + 1)
  }
  return {
    emit: (...events: readonly BuildEvent[]) => events.forEach(reporter.emit),
    print: (line: string) => reporter.aside(() => terminal.error(`${line}\n`)),
    close: reporter.close,
    lines,
    resize: (to: number) => {
      emulator.resize(to, rows)
      stderr.columns = to
    },
  }
}

const started: BuildEvent = {
  kind: 'run-started',
  runId: 'run',
  variant: 'trixie-x86_64',
  ahead: [
    { name: 'base', cached: true, estimateSeconds: 60 },
    { name: 'greet', cached: false, estimateSeconds: 10 },
    { name: 'unpack', cached: false, estimateSeconds: 20 },
  ],
  estimateSeconds: 200,
  assumesEmulation: false,
  room: { peakBytes: 0, isKnown: false, freeBytes: 1 },
}
const greets: BuildEvent = { kind: 'stage-started', name: 'greet', estimateSeconds: 10 }
const load = (processor: number): BuildEvent => ({ kind: 'guest-load', processor, diskBytes: 2 * 1024 ** 2 })
const says = (text: string): BuildEvent => ({ kind: 'stage-output', name: 'greet', text })
/** Longer than the shortest time between two drawings. */
const passAMoment = () => vi.advanceTimersByTime(100)

describe('the board', () => {
  it('shows what runs, how busy the guest is, what it says, and what is next', async () => {
    const { emit, lines } = screenOf(100, 30)
    emit(started, greets, load(0.1), load(1), says('one'), says('two'))
    passAMoment()
    emit(says('three'))
    const shown = await lines()
    expect(shown[0]).toBe('trixie-x86_64 2 of 3 layers to make, about 3m 20s')
    expect(shown[1]).toMatch(/^● greet +[\d.]+s of about 10\.0s {2}━*─+$/)
    expect(shown[2]).toMatch(/^ {2}cpu +▁█ 100 % {2}disk +██ 2\.0 MiB\/s$/)
    expect(shown.slice(3, 6)).toEqual(['  │ one', '  │ two', '  │ three'])
    expect(shown[6]).toMatch(/^ {2}about [23]m \d\ds left; next: unpack 20\.0s$/)
    expect(shown).toHaveLength(7)
  })

  it('leaves nothing behind: in the end there are the lines that stay, each once', async () => {
    const { emit, print, close, lines } = screenOf(80, 20)
    emit(started, greets)
    for (let line = 0; line < 50; line += 1) {
      emit(says(`line ${line}`))
      print(`kept ${line}`)
    }
    passAMoment()
    emit(says('last'))
    close()
    const kept = Array.from({ length: 50 }, (_, line) => `kept ${line}`)
    expect((await lines()).slice(-50)).toEqual(kept)
    expect(await lines()).toHaveLength(51)
  })

  it('takes no line of a terminal twice: wide characters, emoji, and what is escaped are measured as they are shown', async () => {
    const { emit, lines } = screenOf(44, 20)
    emit(started, greets)
    for (const text of ['漢字'.repeat(40), '👩‍👩‍👧'.repeat(40), 'e\u0301'.repeat(80), '\u200b'.repeat(60)]) {
      emit(says(text))
      passAMoment()
      emit(says('x'))
    }
    emit({ kind: 'part-finished', name: 'boot', seconds: 1 })
    const shown = await lines()
    expect(shown.filter((line) => line.startsWith('● greet'))).toHaveLength(1)
    expect(shown.filter((line) => line.startsWith('✔ boot'))).toHaveLength(1)
    expect(shown.at(-1)).toContain('left')
  })

  it('lets no guest move the cursor, hide text, or clear the screen', async () => {
    const { emit, lines } = screenOf(80, 20)
    emit(started, greets)
    passAMoment()
    emit(says('\u001b[2J\u001b[H\u001b[31mred\u001b]0;title\u0007\u009b5Aup\rover\u202etxt\n\n\nmore'))
    const shown = await lines()
    expect(shown[0]).toContain('trixie-x86_64 2 of 3')
    expect(shown[2]).toMatch(/^ {2}│ redup overtxt +more$/)
  })

  it('survives a terminal that becomes narrower and wider: no line that stays is lost', async () => {
    const { emit, print, resize, close, lines } = screenOf(100, 30)
    emit(started, greets, says('x'.repeat(300)))
    for (const columns of [60, 41, 20, 90, 100]) {
      print(`at ${columns}`)
      resize(columns)
      passAMoment()
      emit(says('y'.repeat(300)))
    }
    print('in the end')
    close()
    const shown = await lines()
    for (const text of ['at 60', 'at 41', 'at 20', 'at 90', 'at 100', 'in the end'])
      expect(
        shown.filter((line) => line === text),
        text,
      ).toHaveLength(1)
  })

  it.each([
    ['a narrow terminal', 30, 24, {}],
    ['a low terminal', 100, 6, {}],
    ['NO_COLOR', 100, 24, { NO_COLOR: '1' }],
  ])('is one line on %s', async (_case, columns, rows, env) => {
    const { emit, lines } = screenOf(columns, rows, env)
    emit(greets, load(0.5), says('one'))
    passAMoment()
    emit(says('two'))
    expect(await lines()).toHaveLength(1)
  })
})
