/** The programs that make filesystems: each runs alone, in a fixed environment, at a fixed time. */

import { PipelineError } from '../errors.ts'
import { execa } from '../host/execa.ts'

export interface ToolJob {
  /** Where programs run and find their configuration. */
  readonly folder: string
  /** The time that programs see: seconds since 1970. */
  readonly epoch: number
  readonly signal: AbortSignal
}

/**
 * Nothing from the host's environment except `PATH`. e2fsprogs from 1.47.1 on, and mtools, read the last of the time
 * variables.
 */
export function environmentOf({ epoch, folder }: Omit<ToolJob, 'signal'>): NodeJS.ProcessEnv {
  return {
    PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
    LC_ALL: 'C',
    TZ: 'UTC',
    MKE2FS_CONFIG: `${folder}/mke2fs.conf`,
    MTOOLS_SKIP_CHECK: '1',
    E2FSPROGS_FAKE_TIME: `${epoch}`,
    SOURCE_DATE_EPOCH: `${epoch}`,
  }
}

/**
 * Returns what the program printed.
 * @param what the fault to report if it fails
 * @throws PipelineError `repack-failed`
 */
export async function runTool(
  program: string,
  words: readonly string[],
  job: ToolJob,
  what = `${program} failed`,
): Promise<string> {
  const { folder, signal } = job
  const result = await execa(program, words, {
    cwd: folder,
    env: environmentOf(job),
    extendEnv: false,
    all: true,
    reject: false,
    cancelSignal: signal,
    timeout: 600_000,
  })
  signal.throwIfAborted()
  if (!result.failed) return result.stdout
  const lastLines = result.all?.trim().split('\n').slice(-10) ?? []
  throw new PipelineError({
    code: 'repack-failed',
    message: `the final disk could not be made: ${what}: ${lastLines.at(-1) || result.shortMessage}`,
    hint: 'all layers are kept: run the build again, or leave this step out with reproducible: false.',
    details: { lastLines },
    cause: result,
  })
}
