/** QEMU's machine protocol over its unix socket. */

import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import { connectWhenThere } from '../host/unix-socket.ts'
import { parseJson } from '../text.ts'

interface Answer {
  readonly return?: unknown
  readonly error?: { readonly class: string; readonly desc: string }
  readonly event?: string
  readonly data?: unknown
  readonly QMP?: unknown
}

/** A connection to one QEMU. Emits `event` (name, data) and `close`. */
export interface Qmp {
  readonly execute: (command: string, argumentsObject?: object) => Promise<unknown>
  readonly events: EventEmitter
  readonly close: () => void
}

/** Connects as soon as the socket exists; gives up when `signal` is aborted. */
export async function connectQmp(path: string, signal: AbortSignal): Promise<Qmp> {
  const socket = await connectWhenThere(path, signal)
  const events = new EventEmitter()
  const waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void; command: string }[] = []
  const ended = once(events, 'close', { signal }).then(() => {
    throw new Error('QEMU ended before its greeting')
  })
  const greeted = Promise.race([once(events, 'greeting', { signal }), ended])
  // It repeats the socket's errors, which occur when QEMU is killed.
  const lines = createInterface({ input: socket }).on('error', () => socket.destroy())
  lines.on('line', (line) => {
    const answer = parseJson(line) as Answer | undefined
    if (answer === undefined) return
    if (answer.QMP !== undefined) events.emit('greeting')
    else if (answer.event !== undefined) events.emit('event', answer.event, answer.data)
    else {
      const call = waiting.shift()
      if (answer.error === undefined) call?.resolve(answer.return)
      else call?.reject(new Error(`QEMU refused ${call.command}: ${answer.error.desc}`))
    }
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    for (const call of waiting.splice(0)) call.reject(new Error(`QEMU ended during ${call.command}`))
    events.emit('close')
  })
  const execute = (command: string, argumentsObject: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) return reject(new Error(`QEMU ended before ${command}`))
      waiting.push({ resolve, reject, command })
      socket.write(`${JSON.stringify({ execute: command, arguments: argumentsObject })}\n`)
    })
  const giveUp = () => socket.destroy()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    await greeted
    await execute('qmp_capabilities')
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', giveUp)
  }
  return { execute, events, close: () => socket.destroy() }
}
