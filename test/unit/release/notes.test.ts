import { expect, it } from 'vitest'
import { renderNotes } from '../../../src/release/notes.ts'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const sample = makeSampleRelease(3)
const mark = '<img src=x>[a](b)\n# heading\n`code'

/** The record with the mark at the end of every text that a guest or an earlier release could have written; a kind is one of few. */
function forge<Value>(value: Value): Value {
  if (typeof value === 'string') return `${value}${mark}` as Value
  if (Array.isArray(value)) return value.map(forge) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'kind' ? inner : forge(inner)]),
  ) as Value
}

it('has no Markdown of others in it', () => {
  const forged: ReleaseRecord = { ...forge(sample), version: 1 }
  const packages = { [`evil${mark}`]: `1${mark}` }
  const variants = forged.variants.map((variant) => ({ ...variant, packages }))
  const notes = renderNotes({ ...forged, variants }, forge(sample))
  expect(notes).toContain('evil')
  const withoutCode = notes.replace(/(?<![\\`])(`+)(?!`).*?[^`]\1(?!`)/g, '')
  expect(withoutCode).not.toMatch(/(?<!\\)<img/)
  expect(withoutCode).not.toMatch(/(?<!\\)\[a/)
  expect(notes).not.toMatch(/^# heading/m)
})
