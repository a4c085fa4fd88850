/** Trees that were written in a user namespace. */

import { rm } from 'node:fs/promises'
import { runFile } from './process.ts'

/** Removes a tree whose files may belong to the namespace's users. */
export async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() =>
    runFile('mmdebstrap', ['--unshare-helper', 'rm', '-rf', '--', folder]).catch(() => undefined),
  )
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}
