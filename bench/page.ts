/** How long `report.html` of a large image takes to be made, and to be seen. */

import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import { renderRunPage } from '../src/pages/run-page.ts'
import { findChromium, launchOptions } from '../test/support/browser-program.ts'
import { makeLargeReport } from '../test/support/large-report.ts'
import { median } from './median.ts'

export interface PageTimes {
  /** Seconds, medians. */
  readonly render: number
  /** From the navigation to the first contentful paint. */
  readonly paint: number
}

/** Measures a page with 400 packages and a comparison; undefined without Chromium. */
export async function timePage(folder: string, rounds: number): Promise<PageTimes | undefined> {
  const path = findChromium()
  if (path === undefined) return undefined
  const [report, since] = [makeLargeReport(400), makeLargeReport(399)]
  const file = join(folder, 'report.html')
  const browser = await chromium.launch(launchOptions(path))
  try {
    const times: PageTimes[] = []
    for (let round = 0; round < rounds; round += 1) {
      const started = performance.now()
      const html = renderRunPage(report, { since })
      const render = (performance.now() - started) / 1000
      await writeFile(file, html)
      const page = await browser.newPage()
      await page.goto(pathToFileURL(file).href)
      const paint = await page.evaluate<number>(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime",
      )
      await page.close()
      times.push({ render, paint: paint / 1000 })
    }
    return { render: median(times.map((one) => one.render)), paint: median(times.map((one) => one.paint)) }
  } finally {
    await browser.close()
    await rm(file, { force: true })
  }
}
