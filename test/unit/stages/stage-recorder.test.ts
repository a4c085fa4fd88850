import { describe, expect, it } from 'vitest'
import { comparePackages } from '../../../src/debian/compare-packages.ts'
import { parsePackerLine } from '../../../src/packer/stream.ts'
import { createStageRecorder, type StageOutcome } from '../../../src/stages/recorder.ts'

/** A recorder with a clock that is set by hand, and everything it has told. */
function record(installed: Record<string, string> = {}) {
  let now = 0
  const packages = new Map(Object.entries(installed))
  const recorder = createStageRecorder(packages, '@stage', () => now)
  const outcomes: StageOutcome[] = []
  const output: string[] = []
  const take = (...lines: string[]) => {
    for (const line of lines) {
      const event = recorder.take(line)
      if (event?.kind === 'stage-ended') outcomes.push(event.outcome)
      if (event?.kind === 'stage-output') output.push(`${event.name}: ${event.text}`)
    }
  }
  const wait = (ms: number) => {
    now += ms
  }
  return { ...recorder, take, wait, outcomes, output, packages }
}

const sum = 'dc36'.repeat(16)

describe('a stage that goes well', () => {
  it('may print lines like those of its wrapper', () => {
    const { take, outcomes, output } = record()
    take(
      '@stage begin greet',
      '@stage begin other',
      '@stage end other 1',
      '@stage-of-another-run end greet 0',
    )
    take('@stage end greet 0')
    expect(output).toEqual([
      'greet: @stage begin other',
      'greet: @stage end other 1',
      'greet: @stage-of-another-run end greet 0',
    ])
    expect(outcomes.map(({ name, exitStatus }) => [name, exitStatus])).toEqual([['greet', 0]])
  })

  it('has its time, what it left and what it printed', () => {
    const { take, wait, outcomes, output, running } = record()
    take('before any stage')
    take('@stage begin greet')
    expect(running()).toBe('greet')
    wait(1234)
    take('hello, world', `@stage artifact file 644 49 ${sum} /etc/greeting`, '@stage end greet 0', 'after it')
    expect(running()).toBeUndefined()
    expect(output).toEqual(['greet: hello, world'])
    expect(outcomes).toEqual([
      {
        name: 'greet',
        exitStatus: 0,
        buildTimeSeconds: 1.234,
        artifacts: [{ type: 'file', mode: '644', sizeBytes: 49, sha256: sum, path: '/etc/greeting' }],
        missing: [],
        lastLines: ['hello, world'],
        packages: { added: [], removed: [], upgraded: [] },
      },
    ])
  })

  it('is told from the next by its own time and output alone', () => {
    const { take, wait, outcomes } = record()
    take('@stage begin one', 'of one')
    wait(1000)
    take('@stage end one 0')
    wait(5000)
    take('@stage begin two', 'of two')
    wait(2000)
    take('@stage end two 0')
    expect(
      outcomes.map(({ name, buildTimeSeconds, lastLines }) => [name, buildTimeSeconds, lastLines]),
    ).toEqual([
      ['one', 1, ['of one']],
      ['two', 2, ['of two']],
    ])
  })
})

describe('a stage that fails', () => {
  it('keeps its exit status and its last 40 lines', () => {
    const { take, outcomes } = record()
    take(
      '@stage begin greet',
      ...Array.from({ length: 60 }, (_, index) => `line ${index}`),
      '@stage end greet 7',
    )
    expect(outcomes[0]).toMatchObject({ name: 'greet', exitStatus: 7 })
    expect(outcomes[0]?.lastLines).toHaveLength(40)
    expect(outcomes[0]?.lastLines.at(-1)).toBe('line 59')
  })

  it('names each path that it promised and did not leave', () => {
    const { take, outcomes } = record()
    take('@stage begin greet', '@stage missing /etc/a', '@stage missing /etc/b c', '@stage end greet 125')
    expect(outcomes[0]?.missing).toEqual(['/etc/a', '/etc/b c'])
  })

  it('without an end is the one that was running, with what is known of it', () => {
    const { take, wait, interrupt, running } = record()
    take('@stage begin one', '@stage end one 0', '@stage begin two', 'the last words')
    wait(3000)
    expect(running()).toBe('two')
    expect(interrupt(-1)).toMatchObject({
      name: 'two',
      exitStatus: -1,
      buildTimeSeconds: 3,
      lastLines: ['the last words'],
    })
    expect(running()).toBeUndefined()
    expect(interrupt(-1)).toBeUndefined()
  })

  it("is found in Packer's own stream, whose words before and after are not its output", () => {
    const { take, outcomes, output } = record()
    const stream = [
      '1,,ui,say,==> qemu.systemvm: Provisioning with shell script: greet.sh',
      '1,,ui,message,    qemu.systemvm: @stage begin greet',
      '1,,ui,message,    qemu.systemvm: one%!(PACKER_COMMA) two',
      '1,,ui,error,==> qemu.systemvm: from stderr',
      '1,,ui,message,    qemu.systemvm: @stage end greet 7',
      '1,,ui,say,==> qemu.systemvm: Provisioning step had errors',
    ]
    take(...stream.flatMap(parsePackerLine).map(({ text }) => text))
    expect(outcomes).toMatchObject([{ exitStatus: 7, lastLines: ['one, two', 'from stderr'] }])
    expect(output).toEqual(['greet: one, two', 'greet: from stderr'])
  })
})

describe('packages', () => {
  it('are compared with those before: added, removed, upgraded', () => {
    const { take, outcomes, packages } = record({ apt: '1', nano: '8', tzdata: '2025' })
    take('@stage begin one', '@stage package apt 1 ii', '@stage package tzdata 2026 ii')
    take('@stage package vim 9 ii', '@stage packages-end', '@stage end one 0')
    expect(outcomes[0]?.packages).toEqual({
      added: [{ name: 'vim', version: '9' }],
      removed: [{ name: 'nano', version: '8' }],
      upgraded: [{ name: 'tzdata', from: '2025', to: '2026' }],
    })
    expect(Object.fromEntries(packages)).toEqual({ apt: '1', tzdata: '2026', vim: '9' })
  })

  it('are compared with the stage before, not with the beginning', () => {
    const { take, outcomes } = record({ apt: '1' })
    take('@stage begin one', '@stage package apt 2 ii', '@stage packages-end', '@stage end one 0')
    take('@stage begin two', '@stage package apt 2 ii', '@stage packages-end', '@stage end two 0')
    expect(outcomes[1]?.packages).toEqual({ added: [], removed: [], upgraded: [] })
  })

  it('that were removed and left their configuration count as removed', () => {
    const { take, outcomes } = record({ apt: '1', nano: '8' })
    take('@stage begin one', '@stage package apt 1 ii', '@stage package nano 8 rc', '@stage packages-end')
    take('@stage end one 0')
    expect(outcomes[0]?.packages.removed).toEqual([{ name: 'nano', version: '8' }])
  })

  it('did not change when the guest lists none, or is cut off while it lists them', () => {
    const none = record({ apt: '1' })
    none.take('@stage begin one', '@stage end one 0')
    const cut = record({ apt: '1' })
    cut.take('@stage begin one', '@stage package vim 9 ii')
    const unchanged = { added: [], removed: [], upgraded: [] }
    expect(none.outcomes[0]?.packages).toEqual(unchanged)
    expect(cut.interrupt(-1)?.packages).toEqual(unchanged)
  })

  it('of another architecture are others', () => {
    const change = comparePackages(new Map([['libc6:amd64', '2']]), new Map([['libc6:i386', '2']]))
    expect(change.added.map(({ name }) => name)).toEqual(['libc6:i386'])
    expect(change.removed.map(({ name }) => name)).toEqual(['libc6:amd64'])
  })
})
