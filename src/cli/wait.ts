/** `--wait`: for verbs that want the output folder for themselves. */

import type { Command } from 'commander'
import { describeHolder, type Lock, type LockedWork, takeLock, type Waiting } from '../host/lock.ts'
import { untilInterrupted } from './interrupt.ts'
import type { Terminal } from './terminal.ts'

export interface WaitOptions {
  readonly wait?: boolean
}

export function addWaitOption(command: Command, work: LockedWork = 'build'): Command {
  return command.option('--wait', `wait for another ${work} in the same folder, instead of being refused`)
}

/** Takes the lock of an output folder for a verb, which is named to whoever is refused meanwhile. */
export function takeFolder(
  outFolder: string,
  verb: string,
  { wait = false }: WaitOptions,
  terminal: Terminal,
): Promise<Lock> {
  if (!wait) return takeLock(outFolder, verb)
  return untilInterrupted((signal) =>
    takeLock(outFolder, verb, tellWaiting('build', outFolder, signal, terminal)),
  )
}

/** Says of whom is waited for, in a line each. */
export function tellWaiting(
  work: LockedWork,
  folder: string,
  signal: AbortSignal,
  terminal: Terminal,
): Waiting {
  const onWait: Waiting['onWait'] = (holder) =>
    terminal.error(`another ${work} works in ${folder}: waiting for ${describeHolder(holder)}\n`)
  return { onWait, signal }
}
