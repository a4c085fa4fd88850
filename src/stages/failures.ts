/** The failures of a run of stages. */

import { messageOf, PipelineError, shownLines } from '../errors.ts'
import { diskFailed, isNoSpace } from '../host/failures.ts'
import { brokenPromise, type StageOutcome } from './recorder.ts'

/** The last lines of the guest's console, and where to find all of it. */
export interface ConsoleTail {
  readonly lines: readonly string[]
  readonly log: string
}

const belowHint = (log: string) => `the console's last lines are below; the full log is ${log}`

const detailsOf = ({ lines, log }: ConsoleTail) => ({ lastLines: lines.slice(-shownLines), log })

export function stageFailed(outcome: StageOutcome, script: string, log: string): PipelineError {
  const { name, exitStatus, missing, lastLines } = outcome
  const broken = exitStatus === brokenPromise && missing.length > 0
  return new PipelineError({
    code: broken ? 'promise-broken' : 'stage-failed',
    message: broken
      ? `stage ${name} broke a promise: it left no ${missing.join(', ')}`
      : `stage ${name} failed with exit status ${exitStatus}`,
    hint: broken
      ? `fix ${script}, or leaves in its declaration; its log is ${log}`
      : `its last lines are below; the full log is ${log}; build --on-failure shell opens a shell in its guest`,
    details: { stage: name, exitStatus, missing, lastLines: lastLines.slice(-shownLines), log },
  })
}

export function wentOn(failed: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'went-on',
    message: `the stages after ${failed.join(', ')} ran on what it had left; none of their layers are kept`,
    hint: 'fix the stage and build again: the build resumes after the last layer.',
  })
}

export function stageTimedOut(name: string, limitSeconds: number, log: string): PipelineError {
  return new PipelineError({
    code: 'stage-timeout',
    message: `stage ${name} ran longer than its ${limitSeconds} s`,
    hint: `raise timeoutSeconds in its declaration if it needs more; its log is ${log}`,
    details: { stage: name, limitSeconds, log },
  })
}

export function sealFailed(name: string, cause: unknown, folder: string): PipelineError {
  if (isNoSpace(cause)) return diskFailed(true, folder, cause)
  return new PipelineError({
    code: 'seal-failed',
    message: `the layer of stage ${name} could not be sealed: ${(cause as Error).message}`,
    hint: 'check the disk that holds out/ for space and errors.',
    cause,
  })
}

export const stateNotResumedCode = 'state-not-woken'

export function stateNotResumed(cause: unknown): PipelineError {
  const why = messageOf(cause)
  return new PipelineError({
    code: stateNotResumedCode,
    message: `the guest did not resume from its saved state, which is removed (${why})`,
    cause,
  })
}

export function guestPanicked(tail: ConsoleTail): PipelineError {
  return new PipelineError({
    code: 'guest-panicked',
    message: 'the kernel of the guest panicked',
    hint: belowHint(tail.log),
    details: detailsOf(tail),
  })
}

/** @param waiting what is known of a busy host, from `describeWaiting` */
export function guestSilent(
  isReady: boolean,
  seconds: number,
  tail: ConsoleTail,
  waiting: string,
): PipelineError {
  return new PipelineError({
    code: 'guest-silent',
    message: isReady
      ? `the guest is up, but Packer has not logged in by SSH for ${seconds} s${waiting}`
      : `the guest hangs while booting: its console has been silent for ${seconds} s${waiting}`,
    hint: belowHint(tail.log),
    details: detailsOf(tail),
  })
}

/** @param waiting what is known of a busy host, from `describeWaiting` */
export function bootTimedOut(
  seconds: number,
  isReady: boolean,
  tail: ConsoleTail,
  waiting: string,
): PipelineError {
  return new PipelineError({
    code: 'boot-timeout',
    message: isReady
      ? `the guest is up, but Packer did not log in by SSH within ${seconds} s${waiting}`
      : `the guest was not ready within ${seconds} s${waiting}`,
    hint: `raise machine.bootTimeoutSeconds for a slow host; the full console log is ${tail.log}`,
    details: detailsOf(tail),
  })
}

export function guestVanished(stage: string | undefined, tail: ConsoleTail): PipelineError {
  return new PipelineError({
    code: 'guest-vanished',
    message: `the guest powered off or QEMU ended ${stage === undefined ? 'while booting' : `during stage ${stage}`}`,
    hint: belowHint(tail.log),
    details: { stage, ...detailsOf(tail) },
  })
}

export function guestLost(tail: ConsoleTail): PipelineError {
  return new PipelineError({
    code: 'guest-vanished',
    message:
      'QEMU ended while the guest was shutting down: not everything that the last stage left is on the disk',
    hint: `run the build again: it resumes after the last finished stage; the full console log is ${tail.log}`,
    details: detailsOf(tail),
  })
}
