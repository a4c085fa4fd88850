/** Programs of the host that judge what we wrote. */

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe } from 'vitest'

const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']

/** `PATH` with the folders of root's programs, which users' leaves out. */
export const pathOfTools = folders.join(delimiter)

/** `describe` for tests that need programs: without them it is skipped and says why, but never in CI. */
export function describeWith(programs: readonly string[], title: string, define: () => void): void {
  const missing = programs.filter((name) => !folders.some((folder) => existsSync(join(folder, name))))
  if (missing.length === 0 || (process.env.CI ?? '') !== '') describe(title, define)
  else describe.skip(`${title} (this host has no ${missing.join(', ')})`, define)
}
