/**
 * Command lines of qemu-img, as pure functions. A disk to read is a node, and a file to write an absolute path, because
 * qemu-img would take names such as `-q`, `nbd:host`, or `json:{}` as an option, a server, or a node.
 */

import { resolve } from 'node:path'
import { type BlockNode, nodeName } from './block-node.ts'

/** Output formats, by QEMU's names. */
export type WrittenFormat = 'qcow2' | 'raw' | 'vhdx'

export interface OverlayRequest {
  readonly file: string
  /** The qcow2 below. A relative path is relative to the overlay's folder, and is stored as such. */
  readonly backing: string
  /** @default the size of `backing`, which must then exist */
  readonly sizeBytes?: number | undefined
}

export interface ConvertRequest {
  readonly from: BlockNode
  readonly to: string
  readonly format: WrittenFormat
  /** Options of the format. */
  readonly options?: Readonly<Record<string, string>> | undefined
  readonly isCompressed?: boolean | undefined
  readonly showsProgress?: boolean | undefined
}

/** An empty qcow2. */
export function createArguments(file: string, sizeBytes: number): readonly string[] {
  return ['create', '-q', '-f', 'qcow2', '--', resolve(file), `${sizeBytes}`]
}

/** A qcow2 on top of another. If a size is given, the one below is not checked, and may still be empty. */
export function overlayArguments({ file, backing, sizeBytes }: OverlayRequest): readonly string[] {
  const unchecked = sizeBytes === undefined ? [] : ['-u']
  const size = sizeBytes === undefined ? [] : [`${sizeBytes}`]
  return [
    ...['create', '-q', ...unchecked, '-f', 'qcow2', '-b', plainPath(backing), '-F', 'qcow2', '--'],
    resolve(file),
    ...size,
  ]
}

/** Without `-W`, so that the order of clusters, and thus every byte, depends on the content alone. */
export function convertArguments(request: ConvertRequest): readonly string[] {
  const { from, to, format, options = {}, isCompressed = false, showsProgress = false } = request
  const settings = Object.entries(options).map(([name, value]) => `${name}=${value.replaceAll(',', ',,')}`)
  return [
    'convert',
    ...(showsProgress ? ['-p'] : []),
    ...(isCompressed ? ['-c'] : []),
    ...['-O', format],
    ...(settings.length === 0 ? [] : ['-o', settings.join(',')]),
    ...['--', nodeName(from), resolve(to)],
  ]
}

/** Enlarges the disk in a qcow2; the added part reads as zeros. */
export function growArguments(file: string, sizeBytes: number): readonly string[] {
  return ['resize', '-q', '-f', 'qcow2', '--', resolve(file), `${sizeBytes}`]
}

export function compareArguments(one: BlockNode, other: BlockNode): readonly string[] {
  return ['compare', '--', nodeName(one), nodeName(other)]
}

export function checkArguments(image: BlockNode): readonly string[] {
  return ['check', '--output=json', '--', nodeName(image)]
}

/** Only for the image itself: `info` opens no backing file, and refuses a node that has one. */
export function infoArguments({ backing: _, ...image }: BlockNode): readonly string[] {
  return ['info', '--output=json', '--', nodeName(image)]
}

export function mapArguments(image: BlockNode): readonly string[] {
  return ['map', '--output=json', '--', nodeName(image)]
}

// --- internal ---

/** Makes sure that QEMU takes a path as a path; a relative path stays relative. */
function plainPath(path: string): string {
  return /^[^/]*:/.test(path) ? `./${path}` : path
}
