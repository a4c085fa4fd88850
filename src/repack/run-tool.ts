/** The programs that make file systems: each runs alone, in one surrounding, with one time. */

import { execa } from 'execa'
import { PipelineError } from '../errors.ts'

export interface ToolJob {
  /** Where programs run and have their configuration. */
  readonly folder: string
  /** The time that programs believe in: seconds since 1970. */
  readonly epoch: number
  readonly signal: AbortSignal
}

/** Nothing of the host's own environment but its `PATH`. e2fsprogs from 1.47.1 on, and mtools, read the last of the times. */
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
 * @param what is wrong if it fails
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
