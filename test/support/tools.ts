/** Programs on the host that judge what we wrote. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'vitest'
import { toolFolders } from './path-of-tools.ts'

/** `describe`, or skipped with the reason next to its title: what this host lacks. */
export function describeUnless(reason: string | undefined, title: string, define: () => void): void {
  if (reason === undefined) describe(title, define)
  // Skipped for the caller's reason, which the report shows.
  else describe.skip(`${title} (${reason})`, define)
}

/** Why tests that need something are skipped; never in CI, where they fail instead. */
export function reasonToSkip(missing: readonly string[]): string | undefined {
  return missing.length === 0 || (process.env.CI ?? '') !== ''
    ? undefined
    : `this host has no ${missing.join(', ')}`
}

/** `describe` for tests that need programs. */
export function describeWith(programs: readonly string[], title: string, define: () => void): void {
  const missing = programs.filter((name) => !toolFolders.some((folder) => existsSync(join(folder, name))))
  describeUnless(reasonToSkip(missing), title, define)
}
