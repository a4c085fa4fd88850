/** Errors as they appear in the report. */

import { type PipelineError, shownLines } from '../errors.ts'
import type { Failure } from './report.ts'

/** An error as it appears in the report. */
export function describeFailure(error: PipelineError, lastLines?: readonly string[]): Failure {
  const lines = lastLines ?? (error.details.lastLines as readonly string[] | undefined)
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(lines === undefined ? {} : { lastLines: lines.slice(-shownLines) }),
  }
}
