/** Tells whether a file has changed without reading it. */

import { stat } from 'node:fs/promises'

export interface Touch {
  /** Changes with every write, and with every attempt to hide one: ctime cannot be set. */
  readonly mark: string
  /** Whether another write would certainly change the mark: times of files advance in steps. */
  readonly isSettled: boolean
}

/** The coarsest step of any filesystem that has inodes, FAT's apart. */
const stepMs = 1000

export async function touchOf(path: string): Promise<Touch> {
  const { ino, size, mtimeNs, ctimeNs, ctimeMs } = await stat(path, { bigint: true })
  return {
    mark: [ino, size, mtimeNs, ctimeNs].join(' '),
    isSettled: Date.now() - Number(ctimeMs) > stepMs,
  }
}
