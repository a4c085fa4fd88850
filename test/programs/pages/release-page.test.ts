import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { renderReleasePage } from '../../../src/release/page.ts'
import { describeInBrowser, violationsOf } from '../../support/browser.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()

function writePage(packageCount: number): string {
  const record = makeSampleRelease(packageCount)
  writeFileSync(path('report.html'), renderReleasePage(record, { ...record, release: '4.21.0' }))
  return pathToFileURL(path('report.html')).href
}

describeInBrowser('the page of a release', (open) => {
  it('shows the packages that differ between variants, and asks no host for anything', async () => {
    const { page, noise } = await open(writePage(40))
    await page.getByLabel('only those that differ').check()
    expect(await page.locator('#package-rows tbody tr:visible').count()).toBe(10)
    expect(noise).toEqual([])
  })

  it.each([
    ['light', 1280],
    ['dark', 360],
  ] as const)('is accessible and fits: %s, %i pixels wide', async (colorScheme, width) => {
    const { page } = await open(writePage(20), { colorScheme, viewport: { width, height: 800 } })
    expect(await violationsOf(page)).toEqual([])
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(width)
  })
})
