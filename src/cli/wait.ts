/** `--wait`: for verbs that want the output folder for themselves. */

import type { Command } from 'commander'
import { describeHolder, type Lock, takeLock } from '../host/lock.ts'
import { untilInterrupted } from './interrupt.ts'
import type { Terminal } from './terminal.ts'

export interface WaitOptions {
  readonly wait?: boolean
}

export function addWaitOption(command: Command): Command {
  return command.option('--wait', 'wait for another build in the same folder, instead of being refused')
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
    takeLock(outFolder, verb, {
      onWait: (holder) =>
        terminal.error(`another build works in ${outFolder}: waiting for ${describeHolder(holder)}\n`),
      signal,
    }),
  )
}
