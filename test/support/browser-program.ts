/** This host's Chromium. */

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { LaunchOptions } from 'playwright-core'

/** Names of Debian's package, and of the program on GitHub's machines. */
export const chromiumNames = ['chromium', 'chromium-browser', 'google-chrome'] as const

export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return chromiumNames
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => existsSync(path))
}

export function launchOptions(executablePath: string): LaunchOptions {
  // Chromium refuses to sandbox root's processes.
  return { executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] }
}
