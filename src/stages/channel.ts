/** The host's end of the build channel: asks the guest to freeze its disk, and to prepare for being suspended. */

import { EventEmitter, once } from 'node:events'
import { connectWhenThere } from '../host/unix-socket.ts'
import { splitAnswers } from '../qemu/answer-lines.ts'
import { type GuestClock, startGuestClock } from '../qemu/guest-clock.ts'

export interface Channel {
  /** Flushes everything to the disk and blocks further writes. */
  readonly freeze: () => Promise<void>
  readonly thaw: () => Promise<void>
  /** Like `freeze`, but also blocks logins, so that the machine's state is worth saving. */
  readonly suspend: () => Promise<void>
  /** Undoes `suspend`, and sets the clock. `renewal` is the part of an agent that a guest from an earlier run lacks. */
  readonly resume: (renewal?: Uint8Array) => Promise<void>
  /** Lets a held, failed stage count as successful. */
  readonly release: () => Promise<void>
}

/** A guest that takes longer than this for one request hangs. Emulated guests take a second to drop their caches. */
const answerSeconds = 60

/** An answer has a dozen bytes. */
const mostAnswerBytes = 64 * 1024

/**
 * Connects as soon as the socket exists, until `signal` is aborted. The guest's end may come up later: requests wait for it.
 * @param clock measures the time limit for a response @default the host's time
 */
export async function connectChannel(
  path: string,
  signal: AbortSignal,
  clock: Pick<GuestClock, 'sleep'> = startGuestClock(),
): Promise<Channel> {
  const socket = await connectWhenThere(path, signal)
  const answers = new EventEmitter()
  let flood: Error | undefined
  // Nobody may be waiting for an answer.
  answers.on('error', (error: Error) => {
    flood = error
    socket.destroy()
  })
  socket.on(
    'data',
    splitAnswers((line) => answers.emit('line', line.toString()), {
      port: 'the build channel',
      mostBytes: mostAnswerBytes,
      onFlood: (error) => answers.emit('error', error),
    }),
  )
  socket.on('error', () => socket.destroy())
  signal.addEventListener('abort', () => socket.destroy(), { once: true })
  const ask = async (line: string, more: Uint8Array = Buffer.alloc(0)): Promise<void> => {
    if (flood !== undefined) throw flood
    const [request] = line.split(' ')
    const waiting = new AbortController()
    const limit = AbortSignal.any([signal, waiting.signal])
    const answered = once(answers, 'line', { signal: limit })
    const late = clock.sleep(answerSeconds, limit).then(() => {
      throw new Error(`the guest has not answered "${request}" within ${answerSeconds} s`)
    })
    socket.write(Buffer.concat([Buffer.from(`${line}\n`), more]))
    const [answer] = (await Promise.race([answered, late]).finally(() => waiting.abort())) as [string]
    if (answer !== `done ${request}`) throw new Error(`the guest answered "${request}" with "${answer}"`)
  }
  return {
    freeze: () => ask('freeze'),
    thaw: () => ask('thaw'),
    // The guest still says "sleep" and "wake", since its agent may be part of an older saved state.
    suspend: () => ask('sleep'),
    resume: (renewal = Buffer.alloc(0)) => ask(`wake ${Date.now() / 1000} ${renewal.length}`, renewal),
    release: () => ask('release'),
  }
}
