/** Where a release is published: a folder, or an object store. */

import { exitCodes, PipelineError } from '../errors.ts'

/** A file of a release, as it is on this host. */
export interface SentFile {
  /** Relative to the release; only files of its package set are in a folder. */
  readonly name: string
  readonly path: string
  readonly sizeBytes: number
  /** In hex. */
  readonly sha256: string
}

/** What the destination has under a file's name. */
export type Found = 'nothing' | 'the same' | 'another'

/** Bytes of a file that are there so far, and how many of them this attempt has sent. */
export type OnBytes = (doneBytes: number, sentBytes: number) => void

export interface Destination {
  /** For people; without credentials. */
  readonly label: string
  /** Compares a file with what is there. */
  readonly compare: (file: SentFile, signal: AbortSignal) => Promise<Found>
  /** A text of at most `mostTextBytes`; undefined if it is not there. */
  readonly readText: (name: string, signal: AbortSignal) => Promise<string | undefined>
  /**
   * Puts a file there, complete or not at all. Resumes an earlier attempt that was interrupted.
   * @throws PipelineError `changed-meanwhile`
   */
  readonly put: (file: SentFile, onBytes: OnBytes, signal: AbortSignal) => Promise<void>
  /** Removes a file, which may be missing. */
  readonly remove: (name: string, signal: AbortSignal) => Promise<void>
}

/** A checksum list has about a hundred bytes per file. */
export const mostTextBytes = 4 * 1024 ** 2

/** For a file that is no longer the one that was compared. */
export function changedMeanwhile(name: string): PipelineError {
  return new PipelineError({
    code: 'changed-meanwhile',
    message: `${name} changed while it was published`,
    hint: 'stop whatever writes to the release, and publish it again.',
    exitCode: exitCodes.hostNotFit,
  })
}
