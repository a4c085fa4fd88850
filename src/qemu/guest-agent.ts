/** The QEMU guest agent over its socket, used the way a CloudStack host uses it. */

import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pLimit from 'p-limit'
import { z } from 'zod'
import { messageOf } from '../errors.ts'
import { type Answer, connectToAgent } from './agent-connection.ts'
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
   * @throws Error with the agent's message if it refuses, or if it does not respond in time
   */
  readonly call: (execute: string, argumentsObject?: object, limitSeconds?: number) => Promise<unknown>
  /** Waits until the agent responds to the current request, not to an earlier one. */
  readonly sync: (limitSeconds: number) => Promise<void>
  /** Runs a shell command as root. */
  readonly run: (command: string, limitSeconds?: number) => Promise<CommandResult>
  /** Opens, writes and closes a file, as the host does to deliver its data. */
  readonly writeFile: (path: string, content: string) => Promise<void>
  /** Whether a file exists. Starts no program in the guest, so it is the cheapest way to wait for one. */
  readonly hasFile: (path: string) => Promise<boolean>
  readonly close: () => void
}

const startedSchema = z.object({ pid: z.int() })

const statusSchema = z.object({
  exited: z.boolean(),
  exitcode: z.int().optional(),
  signal: z.int().optional(),
  'out-data': z.string().optional(),
  'err-data': z.string().optional(),
})

/** Limit for a refusal in a message. */
const mostCharacters = 1000

const callLimitSeconds = 60
const runLimitSeconds = 120

/**
 * Connects to one of QEMU's sockets. Only the first `sync` shows whether an agent responds.
 * @param clock measures the limits @default the host's time
 */
export async function connectAgent(
  path: string,
  signal: AbortSignal,
  clock: Pick<GuestClock, 'seconds' | 'sleep'> = startGuestClock(),
): Promise<GuestAgent> {
  const connection = await connectToAgent(path, signal, clock)
  const inTurn = pLimit(1)
  // After an unanswered request, the next response may belong to it.
  let isInStep = true

  const ask = async (what: string, limitSeconds: number, exchanging: Promise<Answer | undefined>) => {
    const answer = await exchanging
    if (answer === undefined) {
      isInStep = false
      throw new Error(`the guest agent has not answered ${what} within ${limitSeconds} s`)
    }
    if (answer.error !== undefined)
      throw new Error(`the guest agent refused ${what}: ${answer.error.desc.slice(0, mostCharacters)}`)
    return answer.return
  }
  const synchronize = async (limitSeconds: number): Promise<void> => {
    const id = randomInt(1, 2 ** 31)
    const request = { execute: 'guest-sync-delimited', arguments: { id } }
    await ask(request.execute, limitSeconds, connection.synchronize(request, id, limitSeconds))
    isInStep = true
  }
  const call: GuestAgent['call'] = (execute, argumentsObject, limitSeconds = callLimitSeconds) =>
    inTurn(async () => {
      if (!isInStep) await synchronize(limitSeconds)
      const request = argumentsObject === undefined ? { execute } : { execute, arguments: argumentsObject }
      return ask(execute, limitSeconds, connection.exchange(request, limitSeconds))
    })

  return {
    call,
    sync: (limitSeconds) => inTurn(() => synchronize(limitSeconds)),
    run: (command, limitSeconds = runLimitSeconds) =>
      runCommand(call, command, { limitSeconds, clock, signal }),
    writeFile: (file, content) => writeFile(call, file, content),
    hasFile: (file) => hasFile(call, file),
    close: connection.close,
  }
}

interface RunLimits {
  readonly limitSeconds: number
  readonly clock: Pick<GuestClock, 'seconds'>
  readonly signal: AbortSignal
}

async function runCommand(
  call: GuestAgent['call'],
  command: string,
  { limitSeconds, clock, signal }: RunLimits,
): Promise<CommandResult> {
  const words = { path: '/bin/sh', arg: ['-c', command], 'capture-output': true }
  const started = read('guest-exec', startedSchema, await call('guest-exec', words))
  const deadline = clock.seconds() + limitSeconds
  for (let pauseMs = 50; ; pauseMs = Math.min(500, pauseMs * 1.5)) {
    const answer = await call('guest-exec-status', { pid: started.pid })
    const status = read('guest-exec-status', statusSchema, answer)
    if (status.exited) return readResult(status)
    if (clock.seconds() > deadline)
      throw new Error(`the guest has not ended within ${limitSeconds} s: ${command}`)
    await sleep(pauseMs, undefined, { signal })
  }
}

async function writeFile(call: GuestAgent['call'], path: string, content: string): Promise<void> {
  const handle = await call('guest-file-open', { path, mode: 'w+' })
  await call('guest-file-write', { handle, 'buf-b64': Buffer.from(content).toString('base64') })
  await call('guest-file-close', { handle })
}

async function hasFile(call: GuestAgent['call'], path: string): Promise<boolean> {
  try {
    const handle = await call('guest-file-open', { path, mode: 'r' })
    await call('guest-file-close', { handle })
    return true
  } catch (error) {
    if (messageOf(error).includes('No such file or directory')) return false
    throw error
  }
}

/** @throws Error if an answer has another form */
function read<Schema extends z.ZodType>(what: string, schema: Schema, answer: unknown): z.output<Schema> {
  const { data, success } = schema.safeParse(answer)
  if (success) return data
  throw new Error(`the guest agent answers ${what} in another form`)
}

function readResult(status: z.output<typeof statusSchema>): CommandResult {
  const text = (data: string | undefined) => cleanText(Buffer.from(data ?? '', 'base64').toString())
  return {
    // As shells do for death by signal.
    exitCode: status.exitcode ?? 128 + (status.signal ?? 0),
    stdout: text(status['out-data']),
    stderr: text(status['err-data']),
  }
}
