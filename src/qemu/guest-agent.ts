/** The QEMU guest agent over its socket, used as CloudStack's host uses it. */

import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { oneAtATime } from '../host/turns.ts'
import { parseJson } from '../text.ts'
import { cleanText } from './console.ts'
import { type GuestClock, startGuestClock } from './guest-clock.ts'

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface GuestAgent {
  /**
   * Executes any agent command.
   * @throws Error with the agent's message when it refuses, or when it does not answer in time
   */
  readonly call: (execute: string, argumentsObject?: object, limitSeconds?: number) => Promise<unknown>
  /** Waits until the agent answers the current request, not an earlier one. */
  readonly sync: (limitSeconds: number) => Promise<void>
  /** Runs a shell command as root. */
  readonly run: (command: string, limitSeconds?: number) => Promise<CommandResult>
  /** Opens, writes and closes a file, as the host does to deliver its data. */
  readonly writeFile: (path: string, content: string) => Promise<void>
  readonly close: () => void
}

interface Answer {
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
}

interface ExecStatus {
  readonly exited: boolean
  readonly exitcode?: number
  readonly signal?: number
  readonly 'out-data'?: string
  readonly 'err-data'?: string
}

const callLimitSeconds = 60
const runLimitSeconds = 120

/** Sent before a `guest-sync-delimited` and received before its answer: 0xFF never occurs in UTF-8 JSON. */
const sentinel = 0xff

/**
 * Connects to a socket of QEMU's. Only the first `sync` shows whether an agent answers.
 * @param clock measures the limits @default the host's time
 */
export async function connectAgent(
  path: string,
  signal: AbortSignal,
  clock: Pick<GuestClock, 'seconds' | 'sleep'> = startGuestClock(),
): Promise<GuestAgent> {
  const socket = connect(path)
  await once(socket, 'connect', { signal })
  let ended: Error | undefined
  // After an unanswered request, the next answer may belong to it.
  let isInStep = true
  let take: ((line: string) => void) | undefined
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.subarray(0, end)
      rest = rest.subarray(end + 1)
      // Anything before the sentinel answers an earlier client.
      take?.(line.subarray(line.lastIndexOf(sentinel) + 1).toString())
    }
  })
  const end = () => {
    ended ??= new Error('QEMU ended, and the guest agent with it')
    take?.('')
  }
  socket.on('error', end)
  socket.on('close', end)

  /** Sends bytes and waits for the first answer that `isOurs`. One at a time. */
  const exchange = async (
    what: string,
    bytes: Buffer,
    isOurs: (answer: Answer) => boolean,
    limitSeconds: number,
  ): Promise<unknown> => {
    if (ended !== undefined) throw ended
    const waiting = new AbortController()
    try {
      const answered = new Promise<Answer>((resolve, reject) => {
        take = (line) => {
          if (ended !== undefined) return reject(ended)
          const answer = parseJson(line) as Answer | undefined
          if (answer !== undefined && isOurs(answer)) resolve(answer)
        }
      })
      socket.write(bytes)
      const late = clock.sleep(limitSeconds, AbortSignal.any([waiting.signal, signal]))
      const answer = await Promise.race([answered, late])
      if (answer === undefined) {
        isInStep = false
        throw new Error(`the guest agent has not answered ${what} within ${limitSeconds} s`)
      }
      if (answer.error !== undefined) throw new Error(`the guest agent refused ${what}: ${answer.error.desc}`)
      return answer.return
    } finally {
      take = undefined
      waiting.abort()
    }
  }

  const inTurn = oneAtATime()

  const synchronize = async (limitSeconds: number): Promise<void> => {
    const id = randomInt(1, 2 ** 31)
    const request = { execute: 'guest-sync-delimited', arguments: { id } }
    // The sentinel makes the agent discard a partial line that it may have received before.
    const bytes = Buffer.concat([Buffer.of(sentinel), Buffer.from(`${JSON.stringify(request)}\n`)])
    await exchange('guest-sync-delimited', bytes, (answer) => answer.return === id, limitSeconds)
    isInStep = true
  }
  const sync = (limitSeconds: number) => inTurn(() => synchronize(limitSeconds))

  const call = (execute: string, argumentsObject?: object, limitSeconds = callLimitSeconds) =>
    inTurn(async () => {
      if (!isInStep) await synchronize(limitSeconds)
      const request = argumentsObject === undefined ? { execute } : { execute, arguments: argumentsObject }
      return exchange(execute, Buffer.from(`${JSON.stringify(request)}\n`), () => true, limitSeconds)
    })

  const run = async (command: string, limitSeconds = runLimitSeconds): Promise<CommandResult> => {
    const started = (await call('guest-exec', {
      path: '/bin/sh',
      arg: ['-c', command],
      'capture-output': true,
    })) as { readonly pid: number }
    const deadline = clock.seconds() + limitSeconds
    for (let pauseMs = 50; ; pauseMs = Math.min(500, pauseMs * 1.5)) {
      const status = (await call('guest-exec-status', { pid: started.pid })) as ExecStatus
      if (status.exited) return readResult(status)
      if (clock.seconds() > deadline)
        throw new Error(`the guest has not ended within ${limitSeconds} s: ${command}`)
      await sleep(pauseMs, undefined, { signal })
    }
  }

  const writeFile = async (path: string, content: string): Promise<void> => {
    const handle = await call('guest-file-open', { path, mode: 'w+' })
    await call('guest-file-write', { handle, 'buf-b64': Buffer.from(content).toString('base64') })
    await call('guest-file-close', { handle })
  }

  return { call, sync, run, writeFile, close: () => socket.destroy() }
}

function readResult(status: ExecStatus): CommandResult {
  const text = (data: string | undefined) => cleanText(Buffer.from(data ?? '', 'base64').toString())
  return {
    // Like a shell for death by signal.
    exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
    stdout: text(status['out-data']),
    stderr: text(status['err-data']),
  }
}
