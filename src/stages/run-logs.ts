/** The logs of a run: what Packer, the console and each stage printed. */

import { join, relative } from 'node:path'
import type { RunFolder } from '../host/run-folder.ts'

export interface RunLogs {
  readonly serial: string
  readonly packer: string
  /** Packer's own debug log. */
  readonly packerDebug: string
  /** Path of a stage's log. */
  readonly of: (stage: string) => string
  /** The same path, relative to `out/`. */
  readonly reported: (stage: string) => string
}

/** @param stages names of all stages of the plan, in the order used to number their logs */
export function logsOf({ path, outFolder }: RunFolder, stages: readonly string[]): RunLogs {
  const of = (stage: string): string => {
    const number = `${stages.indexOf(stage) + 1}`.padStart(2, '0')
    return join(path, 'stages', `${number}-${stage}.log`)
  }
  return {
    serial: join(path, 'serial.log'),
    packer: join(path, 'packer.log'),
    packerDebug: join(path, 'packer-debug.log'),
    of,
    reported: (stage) => relative(outFolder, of(stage)),
  }
}
