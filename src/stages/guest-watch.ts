/** Watches a guest from outside, through its console and QMP. */

import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PipelineError } from '../errors.ts'
import { diskFailed } from '../host/failures.ts'
import type { Step } from '../host/steps.ts'
import { followLines } from '../qemu/console.ts'
import { hasSign, readSign } from '../qemu/console-signs.ts'
import { describeWaiting, type GuestClock, startGuestClock } from '../qemu/guest-clock.ts'
import { watchOutputLogs } from '../qemu/output-limit.ts'
import { connectQmp, type Qmp } from '../qemu/qmp.ts'
import { bootTimedOut, type ConsoleTail, guestPanicked, guestSilent } from './failures.ts'

export interface WatchOptions {
  readonly serialLog: string
  /** Other logs that end up with what the guest prints. */
  readonly outputLogs?: readonly string[]
  readonly qmpSocket: string
  readonly storeFolder: string
  readonly bootTimeoutSeconds: number
  readonly onEvent: (event: GuestEvent) => void
}

export type GuestEvent =
  /** The guest is ready for use. */
  | { readonly kind: 'guest-ready' }
  /** The guest has failed. Several signs of the same failure may arrive. */
  | { readonly kind: 'guest-failed'; readonly error: PipelineError }
  /** The guest powered itself off. */
  | { readonly kind: 'guest-powered-off' }
  /** QEMU has ended, and the console has had time for its last output. */
  | { readonly kind: 'qemu-ended'; readonly console: ConsoleTail }

export interface GuestWatch {
  /** The guest's time, for limits. */
  readonly clock: GuestClock
  /** The connection to QEMU, once it exists. */
  readonly qmp: () => Qmp | undefined
  /** Waits for that connection. */
  readonly connected: () => Promise<Qmp>
  /** Stops watching the boot: a guest in use may be silent. */
  readonly endBoot: () => void
  /** Waits a moment for the console's last output. */
  readonly lastWords: () => Promise<ConsoleTail>
  readonly close: () => Promise<void>
}

/** The fields that we read from QMP events. */
interface EventData {
  /** For BLOCK_IO_ERROR: whether the host's disk is full. */
  readonly nospace?: boolean
  /** For SHUTDOWN: whether the guest asked for it. */
  readonly guest?: boolean
}

/** A decompressing kernel or a slow disk may be silent for a while; nothing healthy is silent this long. */
const silenceSeconds = 120
const keptLines = 40
/** The console's last output reaches its file after QEMU has exited. */
const lastWordsMs = 300

/** Watches a guest that is about to start; this may be another boot in the same run. */
export function nextGuest(options: WatchOptions): Step<GuestWatch> {
  return {
    run: async () => {
      // Until QEMU rewrites it, it contains the panic that caused this new boot.
      await rm(options.serialLog, { force: true })
      return watchGuest(options)
    },
    cleanup: ({ close }) => close(),
  }
}

/** Starts watching; the files and sockets need not exist yet. */
export function watchGuest(options: WatchOptions): GuestWatch {
  const { serialLog, outputLogs = [], qmpSocket, storeFolder, bootTimeoutSeconds, onEvent } = options
  const watching = new AbortController()
  const tail: ConsoleTail & { lines: string[] } = { lines: [], log: serialLog }
  const clock = startGuestClock()
  let lastLineSeconds = 0
  let isReady = false
  let isBooted = false
  let qmp: Qmp | undefined

  const fail = (error: PipelineError) => onEvent({ kind: 'guest-failed', error })

  const console = followLines(serialLog, watching.signal, (line) => {
    lastLineSeconds = clock.seconds()
    if (line.trim() === '') return
    tail.lines.push(line)
    if (tail.lines.length > keptLines) tail.lines.shift()
    if (!isReady && hasSign(line, 'buildReady')) {
      isReady = true
      onEvent({ kind: 'guest-ready' })
    }
    const sign = readSign(line, tail.lines, serialLog)
    if (sign !== undefined) fail(sign)
  })

  const limits = setInterval(() => {
    if (isBooted) return
    const seconds = clock.seconds()
    const waiting = describeWaiting(clock)
    if (seconds - lastLineSeconds > silenceSeconds) fail(guestSilent(isReady, silenceSeconds, tail, waiting))
    else if (seconds > bootTimeoutSeconds) fail(bootTimedOut(bootTimeoutSeconds, isReady, tail, waiting))
  }, 1000)

  const unwatch = watchOutputLogs([serialLog, ...outputLogs], fail)

  const connecting = connectQmp(qmpSocket, watching.signal).then(
    (connection) => {
      qmp = connection
      // Without it, all time counts.
      clock.follow(connection).catch(() => undefined)
      connection.events.on('event', (name: string, data: EventData | undefined) => {
        if (name === 'SHUTDOWN' && data?.guest === true) onEvent({ kind: 'guest-powered-off' })
        if (name === 'GUEST_PANICKED') fail(guestPanicked(tail))
        if (name === 'BLOCK_IO_ERROR') fail(diskFailed(data?.nospace === true, storeFolder))
      })
      // A panic also ends QEMU; its sign on the console says more, and arrives a moment later.
      connection.events.on('close', () => {
        setTimeout(() => {
          if (!watching.signal.aborted) onEvent({ kind: 'qemu-ended', console: tail })
        }, 2 * lastWordsMs)
      })
    },
    () => undefined,
  )

  return {
    clock,
    qmp: () => qmp,
    connected: async () => {
      await connecting
      if (qmp === undefined) throw new Error('QEMU does not answer')
      return qmp
    },
    endBoot: () => {
      isBooted = true
    },
    lastWords: async () => {
      await sleep(lastWordsMs)
      return tail
    },
    close: async () => {
      clearInterval(limits)
      unwatch()
      watching.abort()
      qmp?.close()
      await Promise.all([console, connecting])
    },
  }
}
