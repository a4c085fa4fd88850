import { expect, it } from 'vitest'
import { viewChecks } from '../../../src/pages/checks.ts'
import { makeLargeReport } from '../../support/large-report.ts'

const report = makeLargeReport()
const [image] = report.verifications ?? []
const [check] = image?.checks ?? []
if (image === undefined || check === undefined) throw new Error('the report has no check')

it('reads each check a few times, however many places there are', () => {
  let reads = 0
  const checks = Array.from({ length: 500 }, (_, number) => ({
    ...check,
    get at() {
      reads += 1
      return `scene-${number}`
    },
  }))
  const view = viewChecks({ ...report, verifications: [{ ...image, checks, scenes: [] }] }, new Map())
  expect(view?.images[0]?.groups).toHaveLength(500)
  expect(reads).toBeLessThan(10 * checks.length)
})

it.each(['constructor', '__proto__', '__defineGetter__'])('knows no place by the name %s', (at) => {
  const checks = [{ ...check, at }]
  const view = viewChecks({ ...report, verifications: [{ ...image, checks, scenes: [] }] }, new Map())
  expect(view?.images[0]?.groups).toMatchObject([{ name: at, summary: '' }])
})
