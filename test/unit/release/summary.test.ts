import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { renderSummary } from '../../../src/release/summary.ts'
import { type Report, reportSchema } from '../../../src/report/report.ts'

const read = (name: string): Report =>
  reportSchema.parse(
    JSON.parse(readFileSync(new URL(`../../fixtures/reports/${name}.json`, import.meta.url), 'utf8')),
  )
const succeeded = read('succeeded')

describe('the summary of a build', () => {
  it('has every stage, and every file with its size against the last release', () => {
    const [image] = succeeded.images as [Report['images'][number]]
    const last = {
      release: '0.9',
      variants: [
        {
          variant: 'trixie-x86_64',
          files: [{ target: image.target, sizeBytes: image.sizeBytes - 2 * 1024 ** 2 }],
        },
      ],
    } as unknown as ReleaseRecord
    const text = renderSummary(succeeded, last)
    expect(text).toContain('## ✅ trixie-x86_64: succeeded in')
    for (const { name } of succeeded.stages) expect(text).toContain(`| ${name} | `)
    expect(text).toContain('| for | file | size, since 0.9 | checks |')
    expect(text).toMatch(/\| kvm \| `tiny-.*` \| .* MiB, 2\.0 MiB more \| not verified \|/)
  })

  it('says what failed, and what was observed', () => {
    const check = { title: 'a check', group: 'file', at: 'file', observed: 'a | b', seconds: 0 }
    const verifications: Report['verifications'] = succeeded.images.map(
      ({ path, target, format, sha256 }) => ({
        path,
        target,
        format,
        sha256,
        status: 'failed',
        cached: false,
        seconds: 1,
        accelerator: 'tcg',
        scenes: [],
        checks: [
          { id: 'A1', ...check, status: 'failed' },
          { id: 'A2', ...check, status: 'passed' },
        ],
      }),
    )
    const text = renderSummary({ ...succeeded, verifications }, undefined)
    expect(text).toContain('❌ 1 passed, 1 failed, 0 boots')
    expect(text).toContain('| A1 | a check | file | a \\| b |')
  })

  it('has what others wrote as text, and not as Markdown or HTML', () => {
    const [first, ...others] = succeeded.stages as [Report['stages'][number]]
    const name = '[x](http://example.org) <img src=x> `'
    const [image] = succeeded.images as [Report['images'][number]]
    const images = [{ ...image, path: 'images/a`b.qcow2' }]
    const update = { name: '[a](b)', source: 'a', installed: '1', available: '2', suite: 's', security: true }
    const freshness = {
      status: 'outdated' as const,
      checkedAt: '2026-11-30T00:00:00Z',
      archives: [],
      updates: [update],
    }
    const text = renderSummary(
      { ...succeeded, images, freshness, stages: [{ ...first, name }, ...others] },
      undefined,
    )
    expect(text).toContain('| `[x](http://example.org)` \\<img src=x\\> \\` |')
    expect(text).toContain('| `` a`b.qcow2 `` |')
    expect(text).toContain('\\[a\\](b)')
    expect(text).not.toContain(' [a](b)')
  })

  it('is of a build that failed, too', () => {
    const failed = read('failed')
    const text = renderSummary(failed, undefined)
    expect(text).toContain('## ❌')
    expect(text).toContain(`> ${failed.run.failure?.message.split('\n')[0]}`)
  })
})
