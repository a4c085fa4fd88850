/** Logs of a run, on a disk that may be full. */

import { appendFileSync } from 'node:fs'
import type { PipelineError } from '../errors.ts'
import { diskFailed, isNoSpace } from './failures.ts'

/** Appends a line to the log at a path. */
export type AppendLine = (path: string, text: string) => void

/**
 * @param folder folder of the logs, for error texts
 * @param onError called for each line that cannot be written, with `disk-full` or `disk-error`
 */
export function openLogs(folder: string, onError: (error: PipelineError) => void): AppendLine {
  return (path, text) => {
    try {
      appendFileSync(path, `${text}\n`)
    } catch (cause) {
      onError(diskFailed(isNoSpace(cause), folder, cause))
    }
  }
}
