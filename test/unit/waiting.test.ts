/** Tests wait for what happens, and not for a time: on a busy host, every time is too short. */

import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { project, read } from '../support/imports.ts'

const tests = readdirSync(`${project}test`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && name !== 'unit/waiting.test.ts')
  .map((name) => `test/${name}`)

/** `path:line: text` of each line that matches. */
const linesWith = (paths: readonly string[], pattern: RegExp): readonly string[] =>
  paths.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  )

const sleeping = /\bsetTimeout\(|\btimers\/promises\b|\bAtomics\.wait\b/
const measured = /(Seconds|seconds\(\)|Ms|build_time|\bnow\(\)).*\)\.toBeLess\w*\(\s*\d/
const limited = /^(?!\s*\/\/).*\btimeout: ([\d_]+)/

describe('a test', () => {
  it('does not sleep, if it is a unit test: time passes by fake timers', () => {
    const sleepers = tests.filter(
      (path) => path.startsWith('test/unit/') && !read(path).includes('useFakeTimers('),
    )
    expect(linesWith(sleepers, sleeping)).toEqual([])
  })

  it('has no upper bound on the time that something takes: bench/ measures it', () => {
    // The recorded times of an installation.
    const recorded = 'expect(failedAfterSeconds).toBeLessThanOrEqual(10)'
    expect(linesWith(tests, measured).filter((line) => !line.endsWith(recorded))).toEqual([])
  })

  it('has no limit of its own that is shorter than the one of its project', () => {
    const short = linesWith(
      tests.filter((path) => path.startsWith('test/programs/')),
      limited,
    ).filter((line) => Number(limited.exec(line)?.[1]?.replaceAll('_', '')) < 300_000)
    // Time alone tells a reader that begins anew at every character: each text takes it minutes.
    expect(short).toEqual(['test/programs/disk/ova.test.ts:44: { timeout: 20_000 },'])
  })

  it('is found when it does', () => {
    expect('await new Promise((resolve) => setTimeout(resolve, 100))').toMatch(sleeping)
    expect("import { setTimeout as sleep } from 'node:timers/promises'").toMatch(sleeping)
    expect('expect((performance.now() - killed) / 1000).toBeLessThan(10)').toMatch(measured)
    expect("expect(stageOf(report, 'a')?.build_time).toBeLessThan(12)").toMatch(measured)
    expect('expect(Number(seconds)).toBeLessThanOrEqual(Date.now() / 1000)').not.toMatch(measured)
  })
})
