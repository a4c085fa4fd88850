/** A real Chromium, which judges the pages that we write. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll } from 'vitest'
import { chromiumNames, findChromium, launchOptions } from './browser-program.ts'
import { describeUnless, reasonToSkip } from './tools.ts'

const chromiumPath = findChromium()

/** Opens a page that may not contact any host. */
export type OpenPage = (url: string, options?: BrowserContextOptions) => Promise<OpenedPage>

export interface OpenedPage {
  readonly page: Page
  /** What the page requested in addition to itself, printed to the console, or showed in dialogs. */
  readonly noise: readonly string[]
}

/** `describe` for tests in a browser. Without one, the tests are skipped with a reason, but never in CI. */
export function describeInBrowser(title: string, define: (open: OpenPage) => void): void {
  const reason = reasonToSkip(chromiumPath === undefined ? [chromiumNames[0]] : [])
  describeUnless(reason, title, () => {
    let browser: Browser | undefined
    beforeAll(async () => {
      browser = await chromium.launch(launchOptions(chromiumPath ?? chromiumNames[0]))
    })
    afterAll(() => browser?.close())
    define(async (url, options = {}) => {
      const context = await (browser as Browser).newContext(options)
      const page = await context.newPage()
      const noise: string[] = []
      page.on('request', (request) => {
        if (request.url() !== url && !request.url().startsWith('data:'))
          noise.push(`asked for ${request.url()}`)
      })
      page.on('console', (message) => noise.push(`printed ${message.text()}`))
      page.on('pageerror', (error) => noise.push(`failed: ${error.message}`))
      page.on('dialog', (dialog) => {
        noise.push(`showed ${dialog.message()}`)
        void dialog.dismiss()
      })
      await page.goto(url)
      return { page, noise }
    })
  })
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds inaccessible on a page: the rule, and the first element. */
export async function violationsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate<{ readonly id: string; readonly nodes: { readonly html: string }[] }[]>(
    'axe.run().then(({ violations }) => violations)',
  )
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}
