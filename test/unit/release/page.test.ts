import { expect, it } from 'vitest'
import { renderReleasePage } from '../../../src/release/page.ts'
import { changeTexts } from '../../support/large-report.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const record = makeSampleRelease()
const page = renderReleasePage(record, undefined)

it('has both variants side by side', () => {
  expect(page).toContain('<th scope="col">trixie-x86_64</th><th scope="col">bookworm-x86_64</th>')
  expect(page).toContain(
    '<th scope="row">Kernel</th><td>linux-image-6.0-amd64 6.0.1-1</td><td>linux-image-6.1-amd64 6.1.1-1</td>',
  )
  expect(page).toContain('<th scope="row">package-4</th><td>1.4-1</td><td>1.4-2</td>')
  expect(page).toContain('100 differ between the variants')
  expect(page).toContain('not released')
})

it('says what the release was made despite, and what was accepted', () => {
  expect(page).toContain('unverified: bookworm-x86_64: none of its files was booted')
  expect(page).toContain('Accepted: package-3 1.3-2, until 2026-12-31: it is not reachable')
})

it('lists what has changed since another release', () => {
  const [first, ...others] = record.variants as [(typeof record.variants)[0]]
  const before = {
    ...record,
    release: '4.21.0',
    variants: [{ ...first, packages: { ...first.packages, 'package-1': '0.9' } }, ...others],
  }
  const changed = renderReleasePage(record, before)
  expect(changed).toContain('Since 4.21.0.')
  expect(changed).toContain('<th scope="row">package-1</th><td>0.9</td><td>1.1-1</td>')
})

it('stays below a megabyte, and has no markup from the record', () => {
  expect(Buffer.byteLength(page)).toBeLessThan(1_000_000)
  const planted = '</script><script>alert(1)</script><img src=x>'
  const hostile = renderReleasePage(
    changeTexts(record, (text) => `${text}${planted}`),
    record,
  )
  expect(hostile.match(/<\/?(?:script|img)/g)).toEqual(['<script', '</script'])
})

it('shows as many rows as anyone reads, and says that there are more', () => {
  const [first] = record.variants as [(typeof record.variants)[0]]
  const names = (what: string) => Array.from({ length: 500 }, (_, number) => `${what}-${number}`)
  const variants = Array.from({ length: 100 }, (_, index) => ({
    ...first,
    variant: `variant-${index}`,
    files: [],
    packages: Object.fromEntries(names(`package-${index}`).map((name) => [name, '1'])),
    stages: names(`stage-${index}`).map((name) => ({ name, build_time: 1, layerBytes: 1, status: 'ran' })),
  }))
  const large = renderReleasePage({ ...record, variants }, undefined)
  expect(large.match(/The first 200 of 50000; release.json has all/g)).toHaveLength(2)
  expect(large).toContain('50000 differ between the variants')
  expect(Buffer.byteLength(large)).toBeLessThan(2_000_000)
})

it('knows no package by a word of JavaScript', () => {
  const variants = record.variants.map((variant) => ({
    ...variant,
    packages: { ...variant.packages, constructor: '1' },
  }))
  const changed = renderReleasePage({ ...record, variants }, record)
  expect(changed).toContain('<th scope="row">constructor</th><td>not there</td><td>1</td>')
})
