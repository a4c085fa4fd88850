/** One QEMU from start to stop: its process, its output, and its QMP connection. */

import { setTimeout as sleep } from 'node:timers/promises'
import { PipelineError, shownLines } from '../errors.ts'
import { awaitedLater } from '../host/awaited-later.ts'
import { type ProcessGroup, type ProcessResult, startGroup, startOnTerminal } from '../host/process.ts'
import { withinLimit } from '../host/within-limit.ts'
import { qemuArguments } from './arguments.ts'
import type { Machine } from './machine.ts'
import { watchOutputLogs } from './output-limit.ts'
import { connectQmp, type Qmp } from './qmp.ts'

export interface QemuOptions {
  /** Name or path of the program. @default that of the machine's architecture */
  readonly program?: string
  /** Network namespace to run in, which requires root. @default ours */
  readonly namespace?: string | undefined
  /** Called with each line from QEMU, and from the guest if its serial port is `stdio`. */
  readonly onLine?: (line: string, from: 'stdout' | 'stderr') => void
}

export interface Qemu {
  /** Resolves when QEMU has ended. */
  readonly ended: Promise<ProcessResult>
  readonly isRunning: () => boolean
  /** Why it was ended early. */
  readonly endedFor: () => PipelineError | undefined
  /** @throws PipelineError `guest-floods` or `qemu-ended` as soon as QEMU ends */
  readonly untilEnd: () => Promise<never>
  /**
   * Connects to the machine's QMP socket, which takes one connection at a time.
   * @throws PipelineError `qemu-ended`
   */
  readonly connect: (signal: AbortSignal) => Promise<Qmp>
  /** Ends QEMU at once. */
  readonly stop: () => Promise<void>
}

const qmpLimitMs = 30_000
/** QEMU restores the terminal, if it is given time. */
const terminalGraceMs = 5_000

export function startQemu(machine: Machine, options: QemuOptions = {}): Qemu {
  const { program = `qemu-system-${machine.arch}`, namespace, onLine } = options
  // The host's own QEMU configuration file may add devices.
  const command: Command = [program, '-no-user-config', ...qemuArguments(machine).flat()]
  const [first, ...words] = namespace === undefined ? command : inNamespace(namespace, command)
  const said: string[] = []
  const group: ProcessGroup =
    machine.serial === 'terminal'
      ? startOnTerminal(first, words)
      : startGroup(first, words, {
          onLine: (line, from) => {
            said.push(line)
            if (said.length > shownLines) said.shift()
            onLine?.(line, from)
          },
        })
  let isRunning = true
  let endedFor: PipelineError | undefined
  const unwatch = watchOutputLogs(consoleLogs(machine), (error) => {
    endedFor = error
    void group.stop(0)
  })
  const ended = awaitedLater(
    group.ended.finally(() => {
      isRunning = false
      unwatch()
    }),
  )
  let qmp: Qmp | undefined

  const untilEnd = async (): Promise<never> => {
    const result = await ended
    throw endedFor ?? qemuEnded(result, said)
  }

  const connect = async (signal: AbortSignal): Promise<Qmp> => {
    if (machine.qmpSocket === undefined) throw new Error('this machine has no QMP socket')
    const socket = machine.qmpSocket
    const end = awaitedLater(untilEnd())
    qmp = await withinLimit(qmpLimitMs, signal, (within) => {
      const connected = connectQmp(socket, within).catch(async (error: unknown) => {
        // QEMU's last output says more than a broken connection.
        if (!within.aborted) await Promise.race([end, sleep(1000)])
        throw error
      })
      return Promise.race([connected, end])
    })
    return qmp
  }

  const stop = async (): Promise<void> => {
    qmp?.close()
    await group.stop(machine.serial === 'terminal' ? terminalGraceMs : 0)
  }

  return { ended, isRunning: () => isRunning, endedFor: () => endedFor, untilEnd, connect, stop }
}

function consoleLogs({ serial, virtioConsole }: Machine): readonly string[] {
  const logs = [typeof serial === 'object' ? serial.file : undefined, virtioConsole]
  return logs.filter((log) => log !== undefined)
}

type Command = readonly [program: string, ...words: string[]]

/** `ip` execs the program, so signals reach it directly. */
function inNamespace(name: string, command: Command): Command {
  return ['ip', 'netns', 'exec', name, ...command]
}

function qemuEnded({ exitCode, signal }: ProcessResult, said: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'qemu-ended',
    message: `QEMU ended with ${exitCode ?? signal} before the guest was up`,
    hint: 'its output is below.',
    details: { lastLines: said.slice(-shownLines) },
  })
}
