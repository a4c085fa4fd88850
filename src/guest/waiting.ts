/** Waits for a guest to show a login prompt, to respond or to end, but no longer than there is something to wait for. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError, shownLines } from '../errors.ts'
import { findSign, hasSign } from '../qemu/console-signs.ts'
import type { GuestAgent } from '../qemu/guest-agent.ts'
import { describeWaiting, type GuestClock } from '../qemu/guest-clock.ts'

/** What shows how far a guest is. */
export interface WatchedGuest {
  readonly clock: Pick<GuestClock, 'seconds' | 'waitingShare'>
  /** Output of the serial console so far. */
  readonly consoleText: () => Promise<string>
  readonly isRunning: () => boolean
  /** Why it was ended early. */
  readonly endedFor: () => PipelineError | undefined
  readonly signal: AbortSignal
}

const pollMs = 250

/** @throws PipelineError `guest-silent`, `guest-ended`, or the code of a console sign after which nothing follows */
export async function waitForLogin(guest: WatchedGuest, limitSeconds: number): Promise<void> {
  const { clock, consoleText, signal } = guest
  for (const end = clock.seconds() + limitSeconds; clock.seconds() < end; ) {
    if (hasSign(await consoleText(), 'loginPrompt')) return
    await requireAlive(guest)
    await sleep(pollMs, undefined, { signal })
  }
  throw await late(guest, 'guest-silent', `no login prompt on the serial console within ${limitSeconds} s`)
}

/**
 * Waits until the agent responds, and no longer than `graceSeconds` after a login prompt.
 * @throws the same, or `agent-silent`
 */
export async function waitForAnswer(
  guest: WatchedGuest,
  agent: Pick<GuestAgent, 'sync'>,
  { limitSeconds, graceSeconds }: { readonly limitSeconds: number; readonly graceSeconds: number },
): Promise<void> {
  const { clock, consoleText } = guest
  const started = clock.seconds()
  let upSince: number | undefined
  for (const end = started + limitSeconds; clock.seconds() < end; ) {
    await requireAlive(guest)
    const answered = await agent.sync(2).then(
      () => true,
      (error: unknown) => {
        // A port that was flooded stays closed.
        if (error instanceof PipelineError) throw error
        return false
      },
    )
    if (answered) return
    // A guest that shows a login prompt has started everything that it starts by itself.
    if (hasSign(await consoleText(), 'loginPrompt')) upSince ??= clock.seconds()
    if (upSince !== undefined && clock.seconds() - upSince > graceSeconds) break
  }
  const seconds = Math.round(clock.seconds() - started)
  throw await late(guest, 'agent-silent', `the guest agent has not answered within ${seconds} s`)
}

/** Whether QEMU ends within the limit. */
export async function hasEnded(
  { clock, isRunning, signal }: WatchedGuest,
  limitSeconds: number,
): Promise<boolean> {
  for (const end = clock.seconds() + limitSeconds; isRunning() && clock.seconds() < end; ) {
    await sleep(pollMs, undefined, { signal })
  }
  return !isRunning()
}

// --- internal ---

/** Fails as soon as waiting is pointless. */
async function requireAlive({ consoleText, isRunning, endedFor, signal }: WatchedGuest): Promise<void> {
  signal.throwIfAborted()
  const text = await consoleText()
  const reason = endedFor()
  if (reason !== undefined) throw guestFailed(reason.code, reason.message, text)
  const end = findSign(text, 'end')
  if (end?.code !== undefined) throw guestFailed(end.code, `${end.what}: ${end.line}`, text)
  if (!isRunning()) throw guestFailed('guest-ended', 'the guest powered off or QEMU ended', text)
}

/** The error for a guest that missed a deadline, with a likely reason. */
async function late(
  { clock, consoleText }: WatchedGuest,
  code: ErrorCode,
  message: string,
): Promise<PipelineError> {
  const text = await consoleText()
  const hurt = findSign(text, 'hurt')
  const why = hurt === undefined ? '' : `; ${hurt.what}: ${hurt.line}`
  return guestFailed(code, `${message}${describeWaiting(clock)}${why}`, text)
}

function guestFailed(code: ErrorCode, message: string, consoleText: string): PipelineError {
  return new PipelineError({
    code,
    message,
    hint: "the serial console's last lines are below.",
    exitCode: exitCodes.verificationFailed,
    details: { lastLines: consoleText.trimEnd().split('\n').slice(-shownLines) },
  })
}
