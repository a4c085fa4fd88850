import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { renderRunPage } from '../../../src/pages/run-page.ts'
import { writeRunPages } from '../../../src/pages/write-page.ts'
import { formatBytes, formatSeconds } from '../../../src/report/format.ts'
import { describeInBrowser, violationsOf } from '../../support/browser.ts'
import { useFolder } from '../../support/folder.ts'
import { changeTexts, makeLargeReport, screenshotPath } from '../../support/large-report.ts'

const path = useFolder()
const report = makeLargeReport()

/** A picture of one red pixel. */
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
)

async function writePage(shown = report): Promise<string> {
  mkdirSync(dirname(path('out', screenshotPath)), { recursive: true })
  writeFileSync(path('out', screenshotPath), png)
  const since = makeLargeReport(399)
  const earlier = { ...since, images: since.images.map((image) => ({ ...image, sizeBytes: 1024 ** 2 })) }
  const [page] = await writeRunPages(shown, [path('out', 'report.json')], earlier)
  return pathToFileURL(page as string).href
}

/** What is in each cell of the rows that can be seen. */
async function cellsOf(page: Page, rows: string): Promise<readonly (readonly string[])[]> {
  return page.evaluate<string[][]>(
    `[...document.querySelectorAll(${JSON.stringify(rows)})].filter((row) => row.checkVisibility())
      .map(({ cells }) => [...cells].map((cell) => cell.innerText.split(/\\s+on the/)[0]))`,
  )
}

/** The text that can be seen of an element. */
const textOf = (page: Page, selector: string) =>
  page.evaluate<string>(`document.querySelector(${JSON.stringify(selector)}).innerText`)

describeInBrowser('the page of a run', (open) => {
  it('has the figures of the report', async () => {
    const { page } = await open(await writePage())
    const times = await cellsOf(page, '.timeline tbody tr')
    for (const { name, build_time, status } of report.stages) {
      const [, time] = times.find(([first]) => first === name) ?? []
      expect(time).toBe(`${status === 'ran' ? '' : `${status} `}${formatSeconds(build_time)}`)
    }
    const packages = await cellsOf(page, '#package-rows tbody tr')
    expect(packages.map(([name, version]) => ({ name, version }))).toEqual(
      report.packages?.map(({ name, version }) => ({ name, version })),
    )
    const checks = report.verifications?.flatMap((image) => image.checks) ?? []
    const rows = await cellsOf(page, '#check-rows [data-tags]')
    expect(rows.map((row) => row.slice(0, 4))).toEqual(
      checks.map(({ id, title, status, observed }) => [id, title, status, observed]),
    )
    for (const { sizeBytes, sha256, sha512, md5 } of report.images) {
      const text = await textOf(page, '#files')
      for (const part of [formatBytes(sizeBytes), sha256, sha512, md5]) expect(text).toContain(part)
    }
    const [change] = await cellsOf(page, '#changes table tbody tr')
    expect(change?.[1]).toBe('1.0 MiB')
  })

  it('asks no host for anything, and has nothing to complain of', async () => {
    const { page, noise } = await open(await writePage())
    await page.locator('details').first().locator('summary').click()
    expect(noise).toEqual([])
  })

  it('filters packages and checks, and sorts packages', async () => {
    const { page } = await open(await writePage())
    const names = () => cellsOf(page, '#package-rows tbody tr').then((rows) => rows.map(([name]) => name))
    const filter = page.locator('form[data-for=package-rows]')
    await filter.getByLabel('Filter').fill('package-39')
    expect(await names()).toEqual([
      'package-39',
      ...Array.from({ length: 10 }, (_, index) => `package-39${index}`),
    ])
    await filter.getByLabel('Filter').fill('')
    await filter.getByLabel('pending updates only').check()
    expect(await names()).toEqual(['package-3', 'package-5'])
    expect(await textOf(page, 'form[data-for=package-rows] output')).toBe('2 of 400')
    await filter.getByLabel('pending updates only').uncheck()
    await filter.getByLabel('Sort by').selectOption('size')
    expect((await names()).slice(0, 3)).toEqual(['package-0', 'package-1', 'package-2'])

    await page.locator('form[data-for=check-rows]').getByLabel('Show').selectOption('failed')
    expect((await cellsOf(page, '#check-rows [data-tags]')).map(([id]) => id)).toEqual(['C0', 'C1'])
    expect(await page.locator('#check-rows .scene:visible').count()).toBe(1)
  })

  it('copies a checksum', async () => {
    const { page } = await open(await writePage(), { permissions: ['clipboard-read', 'clipboard-write'] })
    await page.locator('#files button').nth(1).click()
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(report.images[0]?.sha256)
  })

  it('shows the screenshot', async () => {
    const { page } = await open(await writePage())
    const width = await page.evaluate<number>("document.querySelector('#checks img').naturalWidth")
    expect(width).toBe(1)
  })

  it.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 360],
  ] as const)('is accessible: %s, %i pixels wide', async (colorScheme, width) => {
    // Rows are alike, and axe looks at each.
    const url = await writePage(makeLargeReport(20))
    const { page } = await open(url, { colorScheme, viewport: { width, height: 800 } })
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    expect(await violationsOf(page)).toEqual([])
  })

  it('fits a phone', async () => {
    const { page } = await open(await writePage(), { viewport: { width: 360, height: 740 } })
    await page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(360)
  })

  it('is used with the keyboard alone', async () => {
    const { page } = await open(await writePage())
    await page.keyboard.press('Tab')
    expect(await textOf(page, ':focus')).toBe('Skip to the report')
    await page.keyboard.press('Enter')
    expect(await page.locator(':focus').getAttribute('id')).toBe('report')
    await page.locator('#size summary').focus()
    await page.keyboard.press('Enter')
    expect(await page.locator('#size details').getAttribute('open')).not.toBeNull()
  })

  it('is printed as a whole', async () => {
    const { page } = await open(await writePage())
    await page.emulateMedia({ media: 'print' })
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(await page.locator('#files .artifacts').isVisible()).toBe(true)
    expect(await page.locator('.filter').first().isVisible()).toBe(false)
    const hidden = await page.evaluate<number>(
      "(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.querySelector('.scroll'))",
    )
    expect(hidden).toBe(0)
  })

  it('runs no script of a report, and shows its text', async () => {
    const planted =
      '</title></script><script>alert(1)</script><img src=http://example.org/x onerror=alert(1)>'
    writeFileSync(path('hostile.html'), renderRunPage(changeTexts(report, (text) => `${text}${planted}`)))
    const { page, noise } = await open(pathToFileURL(path('hostile.html')).href)
    expect(await page.locator('script').count()).toBe(1)
    expect(await page.locator('img').count()).toBe(0)
    expect(await textOf(page, 'h1')).toContain(planted)
    expect(noise).toEqual([])
  })
})
