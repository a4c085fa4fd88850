/** A running Packer: in its own process group, writing only to folders of the run. */

import { join, resolve } from 'node:path'
import { type ProcessGroup, runMarker, startGroup } from '../host/process.ts'
import type { RunFolder } from '../host/run-folder.ts'
import type { ScratchFolder } from '../host/scratch-folder.ts'
import { conceal } from '../redact.ts'
import { secretVariables } from './secrets.ts'
import { type PackerLine, parsePackerLine } from './stream.ts'

export interface PackerRequest {
  readonly template: string
  readonly runFolder: RunFolder
  readonly scratch: ScratchFolder
  /** Packer's debug log. */
  readonly debugLog: string
  /** Values that neither the lines nor the log show. The template declares a variable for each. */
  readonly secrets: readonly string[]
  /** Called with every line meant for people. */
  readonly onLine: (line: PackerLine) => void
}

export interface PackerProcess extends ProcessGroup {
  /** The lines marked as errors so far. */
  readonly errors: readonly string[]
}

export function startPacker(request: PackerRequest): PackerProcess {
  const { template, runFolder, scratch, debugLog, secrets, onLine } = request
  const errors: string[] = []
  const group = startGroup('packer', ['build', '-color=false', '-machine-readable', resolve(template)], {
    cwd: runFolder.path,
    env: {
      [runMarker]: runFolder.id,
      CHECKPOINT_DISABLE: '1',
      PACKER_CACHE_DIR: join(scratch.folder, 'cache'),
      PACKER_LOG: '1',
      PACKER_LOG_PATH: debugLog,
      TMPDIR: scratch.folder,
      ...Object.fromEntries(
        Object.entries(secretVariables(secrets)).map(([name, secret]) => [`PKR_VAR_${name}`, secret]),
      ),
    },
    onLine: (text) => {
      for (const parsed of parsePackerLine(text)) {
        const line = { ...parsed, text: conceal(parsed.text, secrets) }
        if (line.kind === 'error' && line.text.trim() !== '') errors.push(line.text.trim())
        onLine(line)
      }
    },
  })
  return { ...group, errors }
}
