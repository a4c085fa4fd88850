/** Disks that can't be read. */

import { stat } from 'node:fs/promises'
import { exitCodes, isHostFault, PipelineError } from '../errors.ts'
import { reasonOf } from '../host/failures.ts'

/** @param cause a failure of the host is not the disk's fault, and is passed on as it is */
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

/** Reading anything else would block, or never end. @throws PipelineError `disk-unreadable` */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw unreadableDisk(`cannot read the disk ${path}: ${reasonOf(cause)}`, cause)
  })
  if (found.isFile() || found.isBlockDevice()) return
  const kind = kinds.find(([is]) => found[is]())?.[1] ?? 'something else'
  throw unreadableDisk(`cannot read the disk ${path}: it is ${kind}, not a file`)
}

/**
 * Requires that there is no more of something on a disk than several disks of system VMs have.
 * @param what in the plural
 * @param path of the disk, where it is known
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

/** As far as an MBR reaches. What a larger disk claims to hold could be read, compared and copied without end. */
const maximumTiB = 2

/** @param sizeBytes of the disk that a guest sees @throws PipelineError `disk-unreadable` */
export function requireBounded(path: string, sizeBytes: number): void {
  if (sizeBytes <= maximumTiB * 1024 ** 4) return
  throw unreadableDisk(
    `cannot read the disk ${path}: it has ${sizeBytes} bytes; the limit is ${maximumTiB} TiB`,
    undefined,
    'an MBR reaches no further, and a system VM needs some GiB: give a smaller disk.',
  )
}

const kinds = [
  ['isDirectory', 'a folder'],
  ['isFIFO', 'a named pipe'],
  ['isCharacterDevice', 'a character device'],
  ['isSocket', 'a socket'],
] as const
