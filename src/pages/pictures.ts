/** The screenshots that a report names, as parts of its page. */

import { lstat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readRegular } from '../host/regular-file.ts'
import type { Report } from '../report/report.ts'
import { pathBelow } from '../text.ts'

/** `data:` URLs by the path in the report. */
export type Pictures = ReadonlyMap<string, string>

/** A screen of text takes five thousand bytes. */
const mostBytes = 200_000

/** Limit for all of them on a page, which should stay below a megabyte. */
const mostOfAll = 400_000

/**
 * Reads the screenshots next to a report. Leaves out those that are missing, too large or not PNG; the page then shows their
 * paths.
 * @param outFolder that the report's paths are relative to. A report may be from elsewhere, so no path may leave the folder.
 */
export async function readPictures(outFolder: string, { verifications = [] }: Report): Promise<Pictures> {
  const pictures = new Map<string, string>()
  let left = mostOfAll
  for (const path of verifications.flatMap(({ scenes }) =>
    scenes.flatMap(({ screenshot }) => screenshot ?? []),
  )) {
    if (!pathBelow.safeParse(path).success || pictures.has(path)) continue
    const bytes = await readPng(outFolder, path)
    if (bytes === undefined || bytes.length > left) continue
    left -= bytes.length
    pictures.set(path, `data:image/png;base64,${bytes.toString('base64')}`)
  }
  return pictures
}

/** The output folder that contains a report, directly or in the folder of its run. */
export function outFolderOf(reportFile: string): string {
  const folder = dirname(reportFile)
  const above = dirname(folder)
  return basename(above) === 'runs' ? dirname(above) : folder
}

// --- internal ---

const pngStart = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

async function readPng(folder: string, path: string): Promise<Buffer | undefined> {
  try {
    if (await isLinked(folder, path)) return undefined
    const bytes = await readRegular(join(folder, path), mostBytes)
    return bytes.subarray(0, pngStart.length).equals(pngStart) ? bytes : undefined
  } catch {
    return undefined
  }
}

/** Whether any part of a path below a folder is a link, which may lead to any of the user's files. */
async function isLinked(folder: string, path: string): Promise<boolean> {
  let reached = folder
  for (const name of path.split('/')) {
    reached = join(reached, name)
    if ((await lstat(reached)).isSymbolicLink()) return true
  }
  return false
}
