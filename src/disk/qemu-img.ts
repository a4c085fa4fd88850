/** The only module that runs qemu-img, with one set of rules for time limits, cancellation, and environment. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { toolsMissing } from '../host/tools.ts'
import type { BlockNode } from './block-node.ts'
import {
  type ConvertRequest,
  checkArguments,
  compareArguments,
  convertArguments,
  createArguments,
  growArguments,
  infoArguments,
  mapArguments,
  type OverlayRequest,
  overlayArguments,
} from './qemu-img-arguments.ts'

/** A failure of qemu-img. The message contains the command and its output. */
export class QemuImgError extends Error {
  /** Undefined if the process was killed. */
  readonly exitCode: number | undefined

  constructor(said: string, exitCode: number | undefined, cause: unknown) {
    super(said, { cause })
    this.name = 'QemuImgError'
    this.exitCode = exitCode
  }
}

/** What qemu-img reports about an image. */
export interface ImageInfo {
  /** QEMU's name for the format. */
  readonly format: string
  /** Size of the disk in the image, in bytes. */
  readonly 'virtual-size': number
  readonly encrypted?: boolean
  readonly 'format-specific'?: {
    readonly data?: {
      readonly compat?: string
      readonly 'compression-type'?: string
    }
  }
}

export interface ImageCheck {
  /** `leaks`: unused space is marked as used, which is harmless. `no-check`: the format has no check. */
  readonly status: 'sound' | 'leaks' | 'no-check' | 'damaged'
  /** What is wrong, in qemu-img's words; empty if sound. */
  readonly said: string
  readonly compressedClusters: number
}

/** A range of a disk, in bytes. */
export interface MapEntry {
  readonly start: number
  readonly length: number
  readonly data: boolean
  readonly zero: boolean
}

/** Makes an empty qcow2. @throws QemuImgError */
export async function createDisk(file: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
  await run(createArguments(file, sizeBytes), limitsMs.metadata, signal)
}

/** Makes an empty qcow2 on top of another. @throws QemuImgError */
export async function createOverlay(request: OverlayRequest, signal?: AbortSignal): Promise<void> {
  await run(overlayArguments(request), limitsMs.metadata, signal)
}

/**
 * Writes a disk's content to an image.
 * @param onProgress gets the completed share, from 0 to 1
 * @throws QemuImgError
 */
export async function convertImage(
  request: Omit<ConvertRequest, 'showsProgress'>,
  signal?: AbortSignal,
  onProgress?: (fraction: number) => void,
): Promise<void> {
  const words = convertArguments({ ...request, showsProgress: onProgress !== undefined })
  await run(words, limitsMs.data, signal, onProgress)
}

/** @throws QemuImgError */
export async function growDisk(file: string, sizeBytes: number, signal?: AbortSignal): Promise<void> {
  await run(growArguments(file, sizeBytes), limitsMs.metadata, signal)
}

/** @throws QemuImgError with the first difference if the content of two disks differs */
export async function compareImages(one: BlockNode, other: BlockNode, signal?: AbortSignal): Promise<void> {
  await run(compareArguments(one, other), limitsMs.data, signal)
}

/** Checks an image for damage, which is returned. @throws QemuImgError if the check itself fails */
export async function checkImage(image: BlockNode, signal?: AbortSignal): Promise<ImageCheck> {
  const { exitCode, stdout, said, cause } = await ask(checkArguments(image), limitsMs.data, signal)
  if (exitCode === undefined) throw new QemuImgError(`qemu-img check: ${said}`, exitCode, cause)
  const status = checkStatus[exitCode as keyof typeof checkStatus] ?? 'damaged'
  const facts: CheckFacts = stdout === '' ? {} : JSON.parse(stdout)
  const { corruptions = 0, 'compressed-clusters': compressedClusters = 0 } = facts
  const summary = corruptions > 0 ? `${corruptions} errors were found on the image.` : said
  return { status, said: status === 'sound' ? '' : summary, compressedClusters }
}

interface CheckFacts {
  readonly corruptions?: number
  readonly 'compressed-clusters'?: number
}

/** @throws QemuImgError if an image has any fault */
export async function requireSound(image: BlockNode, signal?: AbortSignal): Promise<void> {
  const { status, said } = await checkImage(image, signal)
  if (status !== 'sound') throw new QemuImgError(`qemu-img check: ${said}`, undefined, undefined)
}

/** Information about an image. @throws QemuImgError */
export async function readImageInfo(image: BlockNode, signal?: AbortSignal): Promise<ImageInfo> {
  return JSON.parse(await run(infoArguments(image), limitsMs.metadata, signal))
}

/** The ranges of a disk and whether each can contain anything but zeros, in ascending order. @throws QemuImgError */
export async function mapImage(image: BlockNode, signal?: AbortSignal): Promise<readonly MapEntry[]> {
  return JSON.parse(await run(mapArguments(image), limitsMs.data, signal))
}

// --- internal ---

/** Reading or writing a whole disk can take an hour; everything else is a few reads, slow only on a busy host. */
const limitsMs = { metadata: 120_000, data: 3_600_000 } as const

/** Exit status of `qemu-img check`. */
const checkStatus = { 0: 'sound', 3: 'leaks', 63: 'no-check' } as const

interface Answer {
  /** Undefined if the process was killed. */
  readonly exitCode: number | undefined
  readonly stdout: string
  /** Why it failed, in one or more lines. */
  readonly said: string
  readonly cause: unknown
}

/** Returns the output. @throws QemuImgError if it fails, or the abort reason */
async function run(
  words: readonly string[],
  limitMs: number,
  signal: AbortSignal | undefined,
  onProgress?: (fraction: number) => void,
): Promise<string> {
  const { exitCode, stdout, said, cause } = await ask(words, limitMs, signal, onProgress)
  if (exitCode !== 0) throw new QemuImgError(`qemu-img ${words[0]}: ${said}`, exitCode, cause)
  return stdout
}

async function ask(
  words: readonly string[],
  limitMs: number,
  signal: AbortSignal | undefined,
  onProgress?: (fraction: number) => void,
): Promise<Answer> {
  const child = execa('qemu-img', words, {
    reject: false,
    stdin: 'ignore',
    timeout: limitMs,
    // A map of a disk has a short line for each extent.
    maxBuffer: 128 * 1024 ** 2,
    ...bareEnvironment(),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (onProgress !== undefined) {
    child.stdout.on('data', (chunk: Buffer) => {
      const percent = /\((\d+(?:\.\d+)?)\/100%\)\s*$/.exec(chunk.toString())?.[1]
      if (percent !== undefined) onProgress(Number(percent) / 100)
    })
  }
  const result = await child
  signal?.throwIfAborted()
  if (result.code === 'ENOENT') throw toolsMissing(['qemu-img'])
  const { exitCode, stdout = '', stderr = '', shortMessage = 'qemu-img failed' } = result
  // Its name for the image is our node, not the user's path.
  const text =
    stderr
      .trim()
      .replace(/^qemu-img: /, '')
      .replace(/Could not open 'json:\{.*\}': /, '') || (exitCode === undefined ? '' : stdout.trim())
  const said = result.timedOut ? `it did not end within ${limitMs / 1000} s` : text || shortMessage
  return { exitCode, stdout, said, cause: result }
}
