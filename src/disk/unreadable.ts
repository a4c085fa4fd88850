/** Errors for disks that cannot be read. */

import { stat } from 'node:fs/promises'
import { exitCodes, isHostFault, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'

/** @param cause if this is a failure of the host, it is not the disk's fault and is returned unchanged */
export function unreadableDisk(
  message: string,
  cause?: unknown,
  hint = 'give the path of a whole disk image that qemu-img reads.',
): PipelineError {
  if (isHostFault(cause)) return cause
  return new PipelineError({
    code: 'disk-unreadable',
    message,
    hint,
    exitCode: exitCodes.badInput,
    cause,
  })
}

/**
 * Requires a file or a block device: reading anything else would block, or never end.
 * @throws PipelineError `disk-unreadable`
 */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw unreadableDisk(`cannot read the disk ${path}: ${reasonOf(cause)}`, cause)
  })
  if (found.isFile() || found.isBlockDevice()) return
  const kind = kinds.find(([is]) => found[is]())?.[1] ?? 'something else'
  throw unreadableDisk(`cannot read the disk ${path}: it is ${kind}, not a file`)
}

/**
 * Requires that a disk has no more of something than several system VM disks have.
 * @param what in the plural
 * @param path of the disk, if known
 * @throws PipelineError `disk-unreadable`
 */
export function requireAtMost(found: number, most: number, what: string, path?: string): void {
  if (found <= most) return
  throw unreadableDisk(
    `cannot read the disk${path === undefined ? '' : ` ${path}`}: it has ${found} ${what}; the limit is ${most}`,
    undefined,
    'no system VM has that many: remove them from the disk, or give another.',
  )
}

/** The limit of an MBR. A larger disk could claim so much content that reading, comparing, or copying it would never end. */
const maximumTiB = 2

/** @param sizeBytes of the disk as a guest sees it @throws PipelineError `disk-unreadable` */
export function requireBounded(path: string, sizeBytes: number): void {
  if (sizeBytes <= maximumTiB * 1024 ** 4) return
  throw unreadableDisk(
    `cannot read the disk ${path}: it has ${sizeBytes} bytes; the limit is ${maximumTiB} TiB`,
    undefined,
    'an MBR cannot address more, and a system VM needs a few GiB: give a smaller disk.',
  )
}

const kinds = [
  ['isDirectory', 'a folder'],
  ['isFIFO', 'a named pipe'],
  ['isCharacterDevice', 'a character device'],
  ['isSocket', 'a socket'],
] as const
