/** Errors for image files that could not be made. */

import { isHostFault, PipelineError } from '../errors.ts'

/** Why a writer cannot make its file, and what to do next. The caller adds the name of the file. */
export class ExportFault extends Error {
  readonly hint: string

  constructor(message: string, hint: string) {
    super(message)
    this.name = 'ExportFault'
    this.hint = hint
  }
}

/**
 * The error for an export that failed because of a system call or a program.
 * @param what kind of file, and its path
 * @param cause if this is a failure of the host, it says more by itself and is returned unchanged
 */
export function exportFailed(what: string, cause: unknown): PipelineError {
  if (isHostFault(cause)) return cause
  const found = cause as { code?: string; shortMessage?: string; stderr?: string; message: string }
  const said = found.stderr?.trim() || (found.shortMessage ?? found.message)
  const isFull = found.code === 'ENOSPC' || said.includes('No space left on device')
  return new PipelineError({
    code: 'export-failed',
    message: `the ${what} could not be made: ${isFull ? 'its disk is full' : said}`,
    // Must suit both a build, which keeps its layers, and an export of any disk.
    hint:
      cause instanceof ExportFault
        ? cause.hint
        : `${isFull ? 'free some space there' : 'fix that'} and run the command again; what was finished before is kept.`,
    cause,
  })
}
