import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { formatAge, formatBytes, formatSeconds, formatTable } from '../../../src/report/format.ts'
import { type Report, reportJsonSchema, reportSchema } from '../../../src/report/report.ts'

const published = new URL('../../../schema/report.schema.json', import.meta.url)
const read = (url: URL) => readFileSync(url, 'utf8')
const fixture = (name: string) =>
  JSON.parse(read(new URL(`../../fixtures/reports/${name}.json`, import.meta.url))) as Report

/** The published schema, as anyone's validator takes it. */
function compile(): ValidateFunction {
  // Formats are those of RFC 3339; the schema has patterns for them as well.
  const ajv = new Ajv2020({ allErrors: true, strict: true, formats: { 'date-time': true } })
  return ajv.compile(JSON.parse(read(published)) as object)
}

describe('the published schema', () => {
  // After a change: npx vitest run --project unit test/unit/report -u
  it('is the one that reports are written by', async () => {
    await expect(`${JSON.stringify(reportJsonSchema(), null, 2)}\n`).toMatchFileSnapshot(
      fileURLToPath(published),
    )
  })

  it('says which version it is of', () => {
    expect(reportJsonSchema()).toMatchObject({
      $id: 'urn:systemvm-image:report:1',
      $schema: 'https://json-schema.org/draft/2020-12/schema',
    })
  })
})

describe('a report', () => {
  it.each(['succeeded', 'failed'])('of a run that %s is valid, for us and for others', (name) => {
    const validate = compile()
    expect(validate(fixture(name)), JSON.stringify(validate.errors, null, 2)).toBe(true)
    expect(reportSchema.parse(fixture(name))).toEqual(fixture(name))
  })

  it.each([
    ['another version', (report: Report) => ({ ...report, version: 2 })],
    ['an unknown field', (report: Report) => ({ ...report, extra: 1 })],
    ['no stages', ({ stages: _, ...rest }: Report) => rest],
    ['an unknown status', (report: Report) => ({ ...report, run: { ...report.run, status: 'fine' } })],
    [
      'a negative build_time',
      (report: Report) => ({ ...report, stages: [{ ...report.stages[0], build_time: -1 }] }),
    ],
    [
      'more stages than any build has',
      (report: Report) => ({ ...report, stages: Array(1001).fill(report.stages[0]) }),
    ],
    [
      'more parts than a page can compare',
      (report: Report) => ({ ...report, timings: Array(1001).fill({ name: 'a', seconds: 1 }) }),
    ],
    [
      'a command of more words than anyone gives',
      (report: Report) => ({ ...report, run: { ...report.run, command: Array(1001).fill('a') } }),
    ],
    [
      'a date that is none',
      (report: Report) => ({ ...report, run: { ...report.run, startedAt: 'yesterday' } }),
    ],
  ])('with %s is not', (_case, change) => {
    expect(compile()(change(fixture('succeeded')))).toBe(false)
    expect(reportSchema.safeParse(change(fixture('succeeded'))).success).toBe(false)
  })
})

describe('numbers for people', () => {
  it.each([
    [0, '0.0s'],
    [4.24, '4.2s'],
    [59.94, '59.9s'],
    [59.97, '1m 00s'],
    [60, '1m 00s'],
    [187, '3m 07s'],
    [3599.6, '1h 00m'],
    [3720, '1h 02m'],
  ])('%d seconds', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text)
  })

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [3.4 * 1024 ** 2, '3.4 MiB'],
    [5 * 1024 ** 4, '5.0 TiB'],
  ])('%d bytes', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })

  it.each([
    [0, '0s'],
    [59, '59s'],
    [90 * 60, '2h'],
    [86_400 * 3, '3d'],
    // What was dated by a clock that was ahead.
    [-86_400 * 365, '0s'],
  ])('%d seconds ago', (seconds, text) => {
    expect(formatAge(seconds)).toBe(text)
  })

  it('stand in columns, and no line ends in spaces', () => {
    const rows = [
      ['name', 'time', ''],
      ['a long name', '1s', 'x'],
      ['b', '100s', ''],
    ]
    expect(formatTable(rows, [false, true])).toBe(
      'name         time\na long name    1s  x\nb            100s',
    )
  })
})
