import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import { outFolderOf, readPictures } from '../../../src/pages/pictures.ts'
import { renderRunPage } from '../../../src/pages/run-page.ts'
import { reportSchema } from '../../../src/report/report.ts'
import { useFolder } from '../../support/folder.ts'
import { changeTexts, makeLargeReport, screenshotPath } from '../../support/large-report.ts'

const report = makeLargeReport()
const page = renderRunPage(report)

describe('the page of a run', () => {
  it('stays below a megabyte with 400 packages and a comparison', () => {
    const pictures = new Map([[screenshotPath, `data:image/png;base64,${'A'.repeat(530_000)}`]])
    const whole = renderRunPage(report, { pictures, since: makeLargeReport(399) })
    expect(Buffer.byteLength(whole)).toBeLessThan(1_000_000)
  })

  it('is the same for the same report', () => {
    expect(renderRunPage(report)).toBe(page)
  })

  it('allows its own style and script alone, and no host', () => {
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? ''
    const digest = (text = '') => createHash('sha256').update(text).digest('base64').replaceAll('=', '&#x3D;')
    expect(policy).toContain('default-src &#x27;none&#x27;')
    expect(policy).toContain(digest(/<style>([\s\S]*?)<\/style>/.exec(page)?.[1]))
    expect(policy).toContain(digest(/<script>([\s\S]*?)<\/script>/.exec(page)?.[1]))
    expect(policy).not.toMatch(/unsafe|http|\*/)
  })

  it.each(['succeeded', 'failed'])('is there for a run that %s and says little', (name) => {
    const file = new URL(`../../fixtures/reports/${name}.json`, import.meta.url)
    const small = renderRunPage(reportSchema.parse(JSON.parse(readFileSync(file, 'utf8'))))
    expect(small).toContain('does not list the packages')
    expect(small).toContain('No image file was verified')
  })

  it('names the log of the stage that failed', () => {
    const [first, ...others] = report.stages as [(typeof report.stages)[0]]
    const failure = { code: 'stage-failed', message: 'it failed', lastLines: ['one', 'two'] }
    const failed = { ...first, failure, log: 'runs/1/stages/01-first.log' }
    const shown = renderRunPage({ ...report, run: { ...report.run, failure }, stages: [failed, ...others] })
    expect(shown).toContain('The last 2 lines of <code>runs/1/stages/01-first.log</code>:')
  })

  it('has no markup from any text of the report', () => {
    const planted = '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'`{{x}}'
    const hostile = renderRunPage(changeTexts(report, (text) => `${planted}${text}`))
    const count = (text: string, pattern: RegExp) => text.match(pattern)?.length
    for (const pattern of [/<script/g, /<\/script/g, /<img/g, /<style/g])
      expect(count(hostile, pattern), String(pattern)).toBe(count(page, pattern))
  })

  it('shows what is invisible, which could turn a text around', () => {
    const name = 'a\u202eb\u0007'
    const [first, ...others] = report.stages as [(typeof report.stages)[0]]
    const shown = renderRunPage({ ...report, stages: [{ ...first, name }, ...others] })
    expect(shown).not.toContain('\u202e')
    expect(shown).toContain('a\\u202eb\\u0007')
  })
})

describe('screenshots', () => {
  const path = useFolder()
  // Of a length that base64 needs no padding for, which Handlebars would escape.
  const png = Buffer.from('89504e470d0a1a0a00000000', 'hex')
  const put = (name: string, bytes = png) => {
    mkdirSync(dirname(path(name)), { recursive: true })
    writeFileSync(path(name), bytes)
  }
  const withPicture = (screenshot: string) => ({
    ...report,
    verifications: report.verifications?.map((image) => ({
      ...image,
      scenes: image.scenes.map((scene) => ({ ...scene, screenshot })),
    })),
  })
  const read = async (screenshot: string) =>
    readPictures(path('out'), withPicture(screenshot) as typeof report)

  it('are in the page', async () => {
    put(`out/${screenshotPath}`)
    const pictures = await read(screenshotPath)
    expect(renderRunPage(report, { pictures })).toContain(
      `src="data:image/png;base64,${png.toString('base64')}"`,
    )
  })

  it('are named where they are not there', async () => {
    expect(renderRunPage(report, { pictures: await read(screenshotPath) })).toContain(
      `<code>${screenshotPath}</code>`,
    )
  })

  it('are no other files of this host, whatever a report names', async () => {
    put('secret.png')
    put('out/text.png', Buffer.from('a text'))
    put('out/large.png', Buffer.concat([png, Buffer.alloc(300_000)]))
    mkdirSync(path('out', 'runs'), { recursive: true })
    symlinkSync(path('secret.png'), path('out', 'runs', 'link.png'))
    symlinkSync(path(), path('out', 'above'))
    for (const name of [
      '../secret.png',
      path('secret.png'),
      'runs/link.png',
      'above/secret.png',
      'text.png',
      'large.png',
      'runs',
    ])
      expect([...(await read(name)).keys()], name).toEqual([])
  })
})

it('finds the output folder of a report', () => {
  expect(outFolderOf('/a/out/report.json')).toBe('/a/out')
  expect(outFolderOf('/a/out/runs/x/report.json')).toBe('/a/out')
})
