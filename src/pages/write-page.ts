/** Writes the page of a report next to it. */

import { dirname, join } from 'node:path'
import { writeDurably } from '../host/files.ts'
import type { Report } from '../report/report.ts'
import { outFolderOf, readPictures } from './pictures.ts'
import { renderRunPage } from './run-page.ts'

/** Name of the page next to a `report.json` or `release.json`. */
export const pageName = 'report.html'

/**
 * Writes `report.html` next to each `report.json` of one report.
 * @param reportFiles paths of its `report.json`, in one output folder
 * @param since an earlier report to compare with
 */
export async function writeRunPages(
  report: Report,
  reportFiles: readonly [string, ...string[]],
  since?: Report,
): Promise<readonly string[]> {
  const pictures = await readPictures(outFolderOf(reportFiles[0]), report)
  const html = renderRunPage(report, { pictures, since })
  const pages = reportFiles.map((file) => join(dirname(file), pageName))
  for (const page of pages) await writeDurably(page, html)
  return pages
}
