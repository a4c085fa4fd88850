/** Watches a guest from outside, by its console and by QMP, for signs that it will not end well. */

import type { PipelineError } from '../errors.ts'
import { diskFailed } from '../host/failures.ts'
import { followLines } from '../qemu/console.ts'
import { hasSign, readSign } from '../qemu/console-signs.ts'
import { connectQmp, type Qmp } from '../qemu/qmp.ts'
import {
  bootTimedOut,
  type ConsoleTail,
  guestLost,
  guestPanicked,
  guestSilent,
  guestVanished,
} from './failures.ts'

export interface WatchOptions {
  readonly serialLog: string
  readonly qmpSocket: string
  readonly storeFolder: string
  readonly bootTimeoutSeconds: number
  /** Called when the guest can be used. */
  readonly onReady?: () => void
  /** Called at the first sign, and perhaps again at later ones. */
  readonly onFailure: (error: PipelineError) => void
}

export interface GuestWatch {
  /** The connection to QEMU, once there is one. */
  readonly qmp: () => Qmp | undefined
  /** Waits for that connection. */
  readonly connected: () => Promise<Qmp>
  /** Says that the first stage has begun: from now on silence is no sign. */
  readonly booted: () => void
  /** Says what runs, for error texts; `shutdown` makes the guest's end an expected one. */
  readonly running: (stage: string | undefined, isShutdown?: boolean) => void
  /** Why Packer lost its guest, if the guest itself ended the machine. */
  readonly explainEnd: () => PipelineError | undefined
  /**
   * Why a guest that was to shut down has not: its QEMU ended before the guest had powered it off, and what the guest
   * had still to write is lost. Packer takes the one for the other.
   */
  readonly explainLoss: () => PipelineError | undefined
  /** Waits a moment for the console's last words, then stops watching. */
  readonly close: () => Promise<void>
}

/** What we read of the data of QMP's events. */
interface EventData {
  /** Of BLOCK_IO_ERROR: the host's disk is full. */
  readonly nospace?: boolean
  /** Of SHUTDOWN: the guest asked for it. */
  readonly guest?: boolean
}

/** A kernel that decompresses or a slow disk may be silent for a while; nothing healthy is for this long. */
const silenceSeconds = 120
const keptLines = 40
/** The console's last words reach its file after QEMU has gone. */
const lastWordsMs = 300

/** Begins to watch; the files and sockets need not be there yet. */
export function watchGuest(options: WatchOptions): GuestWatch {
  const { serialLog, qmpSocket, storeFolder, bootTimeoutSeconds, onFailure } = options
  const watching = new AbortController()
  const tail: ConsoleTail & { lines: string[] } = { lines: [], log: serialLog }
  const startedMs = performance.now()
  let lastLineMs = startedMs
  let isReady = false
  let isBooted = false
  let isEnding = false
  let hasEnded = false
  let isPoweredOff = false
  let stage: string | undefined
  let qmp: Qmp | undefined

  const console = followLines(serialLog, watching.signal, (line) => {
    lastLineMs = performance.now()
    if (line.trim() === '') return
    tail.lines.push(line)
    if (tail.lines.length > keptLines) tail.lines.shift()
    if (!isReady && hasSign(line, 'buildReady')) {
      isReady = true
      options.onReady?.()
    }
    const sign = readSign(line, tail.lines, serialLog)
    if (sign !== undefined) onFailure(sign)
  })

  const clock = setInterval(() => {
    if (isBooted) return
    const nowMs = performance.now()
    if (nowMs - lastLineMs > silenceSeconds * 1000) onFailure(guestSilent(isReady, silenceSeconds, tail))
    else if (nowMs - startedMs > bootTimeoutSeconds * 1000) {
      onFailure(bootTimedOut(bootTimeoutSeconds, isReady, tail))
    }
  }, 1000)

  const connecting = connectQmp(qmpSocket, watching.signal).then(
    (connection) => {
      qmp = connection
      connection.events.on('event', (name: string, data: EventData | undefined) => {
        if (name === 'SHUTDOWN' && data?.guest === true) {
          if (isEnding) isPoweredOff = true
          else hasEnded = true
        }
        if (name === 'GUEST_PANICKED') onFailure(guestPanicked(tail))
        if (name === 'BLOCK_IO_ERROR') onFailure(diskFailed(data?.nospace === true, storeFolder))
      })
      // A panic ends QEMU too; its sign on the console says more, and comes a moment later.
      connection.events.on('close', () => {
        setTimeout(() => {
          if (!isEnding && !watching.signal.aborted) onFailure(guestVanished(stage, tail))
        }, 2 * lastWordsMs)
      })
    },
    () => undefined,
  )

  return {
    qmp: () => qmp,
    connected: async () => {
      await connecting
      if (qmp === undefined) throw new Error('QEMU does not answer')
      return qmp
    },
    booted: () => {
      isBooted = true
    },
    running: (name, isShutdown = false) => {
      stage = name
      isEnding = isShutdown
    },
    explainEnd: () => (hasEnded ? guestVanished(stage, tail) : undefined),
    explainLoss: () => (isPoweredOff ? undefined : guestLost(tail)),
    close: async () => {
      await new Promise((resolve) => setTimeout(resolve, lastWordsMs))
      clearInterval(clock)
      watching.abort()
      qmp?.close()
      await Promise.all([console, connecting])
    },
  }
}
