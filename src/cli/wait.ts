/** `--wait`, for verbs that need exclusive use of the output folder. */

import type { Command } from 'commander'
import { type Lock, type LockedWork, takeLock, type Waiting } from '../host/lock.ts'
import { describeHolder } from '../host/lock-holder.ts'
import { outFolderAt, requireOwnFolders } from '../host/out-folder.ts'
import { untilInterrupted } from './interrupt.ts'
import type { Terminal } from './terminal.ts'

export interface WaitOptions {
  readonly wait?: boolean
}

export function addWaitOption(command: Command, work: LockedWork = 'build'): Command {
  return command.option('--wait', `wait for another ${work} in the same folder instead of failing`)
}

/**
 * Takes the lock of an output folder for a verb; errors of others that need it name the verb.
 * @throws PipelineError like `requireOwnFolders`, and `locked`
 */
export async function takeFolder(
  outFolder: string,
  verb: string,
  { wait = false }: WaitOptions,
  terminal: Terminal,
): Promise<Lock> {
  await requireOwnFolders(outFolderAt(outFolder))
  if (!wait) return takeLock(outFolder, verb)
  return untilInterrupted((signal) =>
    takeLock(outFolder, verb, tellWaiting('build', outFolder, signal, terminal)),
  )
}

/** Prints a line for each holder of the lock that we wait for. */
export function tellWaiting(
  work: LockedWork,
  folder: string,
  signal: AbortSignal,
  terminal: Terminal,
): Waiting {
  const onWait: Waiting['onWait'] = (holder) =>
    terminal.error(`another ${work} is using ${folder}: waiting for ${describeHolder(holder)}\n`)
  return { onWait, signal }
}
