/** Splits what a guest sends into lines. A guest that never ends one would otherwise fill the host's memory. */

import { PipelineError } from '../errors.ts'

export interface AnswerLimit {
  /** What receives the lines, e.g. `the guest agent's port`. */
  readonly port: string
  /** Of one line. */
  readonly mostBytes: number
  /** Called once, after which nothing more is read. */
  readonly onFlood: (error: PipelineError) => void
}

/**
 * Passes on complete lines, without line feeds, from bytes that arrive in pieces. Only new bytes are searched, and the
 * buffer of an incomplete line doubles: many small pieces take no more memory than a few large ones.
 */
export function splitAnswers(
  onLine: (line: Buffer) => void,
  { port, mostBytes, onFlood }: AnswerLimit,
): (bytes: Buffer) => void {
  let kept = Buffer.alloc(0)
  let length = 0
  let isOver = false
  const keep = (bytes: Buffer): void => {
    const needed = length + bytes.length
    if (needed > kept.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * kept.length))
      kept.copy(larger, 0, 0, length)
      kept = larger
    }
    bytes.copy(kept, length)
    length = needed
  }
  return (bytes) => {
    for (let start = 0; !isOver && start < bytes.length; ) {
      const found = bytes.indexOf('\n', start)
      const end = found === -1 ? bytes.length : found
      if (length + end - start > mostBytes) {
        isOver = true
        kept = Buffer.alloc(0)
        onFlood(guestFloods(port, mostBytes))
        return
      }
      keep(bytes.subarray(start, end))
      start = end + 1
      if (found === -1) return
      const line = kept.subarray(0, length)
      kept = Buffer.alloc(0)
      length = 0
      onLine(line)
    }
  }
}

// --- internal ---

function guestFloods(port: string, mostBytes: number): PipelineError {
  return new PipelineError({
    code: 'guest-floods',
    message: `the guest floods ${port}: one answer has more than ${mostBytes / 1024} KiB`,
    hint: 'something else in the guest writes there, or its agent is broken: ask who made the image.',
  })
}
