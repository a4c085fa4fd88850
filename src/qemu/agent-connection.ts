/**
 * The connection to a QEMU guest agent: JSON lines, one request and one response at a time, and a sentinel to resynchronize.
 */

import { once } from 'node:events'
import { connect } from 'node:net'
import { z } from 'zod'
import { parseJson } from '../text.ts'
import { splitAnswers } from './answer-lines.ts'
import type { GuestClock } from './guest-clock.ts'

const answerSchema = z.object({
  return: z.unknown().optional(),
  error: z.object({ desc: z.string() }).optional(),
})

export type Answer = Readonly<z.output<typeof answerSchema>>

/** @throws Error once QEMU has ended, PipelineError `guest-floods` once an answer was too long. Responses are undefined if none has arrived in time. */
export interface AgentConnection {
  /** The first response to a request. */
  readonly exchange: (request: object, limitSeconds: number) => Promise<Answer | undefined>
  /** The first response that returns `id`, as the request has asked. */
  readonly synchronize: (request: object, id: number, limitSeconds: number) => Promise<Answer | undefined>
  readonly close: () => void
}

/** An agent keeps 16 MiB of each of a command's two outputs, which are 45 MB in base64. */
const mostAnswerBytes = 48 * 1024 ** 2

/** Sent before a `guest-sync-delimited` and received before its response: 0xFF never occurs in UTF-8 JSON. */
const sentinel = 0xff

export async function connectToAgent(
  path: string,
  signal: AbortSignal,
  clock: Pick<GuestClock, 'sleep'>,
): Promise<AgentConnection> {
  const socket = connect(path)
  await once(socket, 'connect', { signal })
  let ended: Error | undefined
  let take: ((line: string) => void) | undefined
  const end = (error: Error) => {
    ended ??= error
    take?.('')
  }
  socket.on(
    'data',
    splitAnswers(
      // Anything before the sentinel is a response to an earlier client.
      (line) => take?.(line.subarray(line.lastIndexOf(sentinel) + 1).toString()),
      {
        port: 'the port of its agent',
        mostBytes: mostAnswerBytes,
        onFlood: (error) => {
          end(error)
          socket.destroy()
        },
      },
    ),
  )
  const gone = () => end(new Error('QEMU ended, and the guest agent with it'))
  socket.on('error', gone)
  socket.on('close', gone)

  const send = async (
    bytes: Buffer,
    isOurs: (answer: Answer) => boolean,
    limitSeconds: number,
  ): Promise<Answer | undefined> => {
    if (ended !== undefined) throw ended
    const waiting = new AbortController()
    try {
      const answered = new Promise<Answer>((resolve, reject) => {
        take = (line) => {
          if (ended !== undefined) return reject(ended)
          // Anything in the guest may write to the port.
          const answer = answerSchema.safeParse(parseJson(line)).data
          if (answer !== undefined && isOurs(answer)) resolve(answer)
        }
      })
      socket.write(bytes)
      const late = clock.sleep(limitSeconds, AbortSignal.any([waiting.signal, signal]))
      return (await Promise.race([answered, late])) ?? undefined
    } finally {
      take = undefined
      waiting.abort()
    }
  }

  return {
    exchange: (request, limitSeconds) => send(lineOf(request), () => true, limitSeconds),
    synchronize: (request, id, limitSeconds) =>
      // The sentinel makes the agent discard a partial line that it may have received before.
      send(
        Buffer.concat([Buffer.of(sentinel), lineOf(request)]),
        (answer) => answer.return === id,
        limitSeconds,
      ),
    close: () => socket.destroy(),
  }
}

function lineOf(request: object): Buffer {
  return Buffer.from(`${JSON.stringify(request)}\n`)
}
