/** A disk image as a file of the host: its format, its size, and whether all of it is there. */

import { extname } from 'node:path'
import { execa } from 'execa'
import { exitCodes, PipelineError } from '../errors.ts'

export interface ImageFile {
  readonly path: string
  /** As qemu-img names it: `qcow2`, `vpc`, … */
  readonly format: string
  /** Size of the disk in it. */
  readonly sizeBytes: number
}

interface ImageInfo {
  readonly filename: string
  readonly format: string
  readonly 'virtual-size': number
}

/**
 * Finds out what a disk is, and that it and all it stands on is whole.
 * @param format without it qemu-img judges by the content, which whoever wrote the disk decides
 * @throws PipelineError `disk-unreadable`
 */
export async function inspectImageFile(
  path: string,
  format: string | undefined,
  signal: AbortSignal,
): Promise<ImageFile> {
  const forced = format === undefined ? [] : ['-f', format]
  const words = ['info', ...forced, '--backing-chain', '--output=json', path]
  const info = await execa('qemu-img', words, { reject: false, timeout: 60_000, cancelSignal: signal })
  signal.throwIfAborted()
  if (info.exitCode !== 0) {
    const said = info.stderr?.trim() || (info.shortMessage ?? 'qemu-img failed')
    throw unreadableDisk(`cannot read the disk ${path}: ${said}`)
  }
  const chain = JSON.parse(info.stdout) as readonly ImageInfo[]
  for (const image of chain) await requireSound(image, signal)
  const [top] = chain
  if (top === undefined || top['virtual-size'] === 0) throw unreadableDisk(`the disk ${path} has no bytes`)
  return { path, format: top.format, sizeBytes: top['virtual-size'] }
}

const formatsByEnding: Readonly<Record<string, string>> = {
  '.qcow2': 'qcow2',
  '.raw': 'raw',
  '.vhd': 'vpc',
  '.vhdx': 'vhdx',
  '.vmdk': 'vmdk',
}

/**
 * The format that a name's ending stands for; undefined where it says nothing. A VHD of a fixed size has to be named:
 * its mark is at its end, where qemu-img does not look for one.
 */
export function formatByEnding(path: string): string | undefined {
  return formatsByEnding[extname(path).toLowerCase()]
}

/** What `qemu-img check` says with its exit status, where there is nothing to be afraid of. */
const soundStatus = { noErrors: 0, leakedSpaceOnly: 3, formatHasNoCheck: 63 } as const

/** qemu-img converts a file that is cut short without a word, with zeros for all that is not there. */
async function requireSound({ filename, format }: ImageInfo, signal: AbortSignal): Promise<void> {
  const check = await execa('qemu-img', ['check', '-f', format, filename], {
    reject: false,
    timeout: 3_600_000,
    cancelSignal: signal,
  })
  signal.throwIfAborted()
  if (Object.values(soundStatus).some((status) => status === check.exitCode)) return
  const summary = /^\d+ errors were found.*$/m.exec(check.stdout)?.[0]
  const said = summary ?? (check.stderr.trim().split('\n')[0] || check.shortMessage)
  throw unreadableDisk(`the disk ${filename} is damaged or cut short: qemu-img check says: ${said}`)
}

/** The error of a disk that is not what can be read. */
export function unreadableDisk(message: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'disk-unreadable',
    message,
    hint: 'give the path of a whole disk image that qemu-img reads, with its backing files where it looks for them.',
    exitCode: exitCodes.badInput,
    cause,
  })
}
