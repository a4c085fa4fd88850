/** The ways in which Packer fails. */

import { PipelineError, shownLines } from '../errors.ts'

export function packerFailed(
  stage: string | undefined,
  ended: { readonly exitCode: number | null; readonly signal: string | null },
  errors: readonly string[],
  log: string,
): PipelineError {
  const how = ended.signal === null ? `exit status ${ended.exitCode}` : `signal ${ended.signal}`
  const during = stage === undefined ? 'before a stage began' : `during stage ${stage}`
  // Packer marks the actual errors with asterisks, below lines that only say that there were some.
  const [reason] = [...errors.filter((line) => line.startsWith('* ')), ...errors]
  return new PipelineError({
    code: 'packer-died',
    message: `Packer ended with ${how} ${during}${reason === undefined ? '' : `: ${reason}`}`,
    hint: `Packer's own log is ${log}`,
    details: { stage, lastLines: errors.slice(-shownLines), log },
  })
}

export function packerSilent(after: string, seconds: number, log: string): PipelineError {
  return new PipelineError({
    code: 'packer-silent',
    message: `nothing happened for ${seconds} s after ${after}`,
    hint: `Packer or the guest hangs; Packer's own log is ${log}`,
    details: { log },
  })
}
