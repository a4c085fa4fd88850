/** Requires that all files of a variant contain the same disk, whatever their formats, and as the record describes it. */

import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { formatByEnding } from '../disk/disk-format.ts'
import { inspectImageFile } from '../disk/image-file.ts'
import { compareImages } from '../disk/qemu-img.ts'
import { unpackArchive } from '../disk/unpack.ts'
import { isOfHost, messageOf } from '../errors.ts'
import { allEnded } from '../host/all-ended.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { type Blame, type ReleaseImage, releaseFiles } from './record.ts'

/**
 * Without this, a package list read from one file would say nothing about the others. Formats round sizes up, so trailing
 * zeros do not count.
 */
export async function compareDisks(
  folder: string,
  files: readonly ReleaseImage[],
  blame: Blame,
  signal: AbortSignal,
): Promise<void> {
  // The largest has the least compression, if any, so it is fast to read repeatedly.
  const [reference, ...others] = [...files].sort((one, other) => other.sizeBytes - one.sizeBytes)
  if (reference === undefined) return
  await inWorkFolder(async (workFolder) => {
    const open = async (image: ReleaseImage) => {
      const { node, format, sizeBytes } = await openPlain(join(folder, image.file), workFolder, signal)
      const odd = differenceIn(image, format, sizeBytes)
      if (odd !== undefined) blame(releaseFiles.record, odd)
      return node
    }
    const first = await faultOf(open(reference), signal)
    if ('fault' in first) {
      blame(reference.file, first.fault)
      return
    }
    // Each comparison decompresses a disk on one processor.
    const limit = pLimit(availableParallelism())
    const faultIn = async (image: ReleaseImage) => {
      const other = await faultOf(open(image), signal)
      if ('fault' in other) return other.fault
      const same = await faultOf(compareImages(first.value, other.value, signal), signal)
      return 'fault' in same ? `its disk is not the one in ${reference.file}: ${same.fault}` : undefined
    }
    const judged = others.map((image) =>
      limit(async () => ({ file: image.file, fault: await faultIn(image) })),
    )
    for (const { file, fault } of await allEnded(judged)) if (fault !== undefined) blame(file, fault)
  })
}

// --- internal ---

/** The size of a VHD is rounded to a cylinder of its geometry, which has up to 255 heads with 63 sectors. */
const mostRoundedBytes = 255 * 63 * 512

/** How a disk differs from its description in the record; undefined if it does not. */
function differenceIn(
  { file, format, virtualSizeBytes }: ReleaseImage,
  found: string,
  sizeBytes: number,
): string | undefined {
  if (format !== found) return `it says that the format of ${file} is ${format}, but it is ${found}`
  const rounded = sizeBytes - virtualSizeBytes
  if (rounded >= 0 && rounded < mostRoundedBytes) return undefined
  return `it says that the disk in ${file} has ${virtualSizeBytes} bytes, but it has ${sizeBytes}`
}

/** The result of an action, or what is wrong with its file, in one line. @throws the abort reason, and faults of the host */
async function faultOf<Value>(
  action: Promise<Value>,
  signal: AbortSignal,
): Promise<{ readonly value: Value } | { readonly fault: string }> {
  try {
    return { value: await action }
  } catch (error) {
    signal.throwIfAborted()
    if (isOfHost(error)) throw error
    return { fault: messageOf(error).split('\n')[0] ?? '' }
  }
}

/** Determines the format by the name, since the author of the file controls its content. */
async function openPlain(file: string, workFolder: string, signal: AbortSignal) {
  const plain = formatByEnding(file) === undefined ? await unpackArchive(file, workFolder, signal) : file
  const format = formatByEnding(plain) ?? 'raw'
  const { node, sizeBytes } = await inspectImageFile(plain, { format, signal })
  return { node, format, sizeBytes }
}
