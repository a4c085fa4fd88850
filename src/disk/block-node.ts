/** Nodes of QEMU's block layer, which name a disk such that QEMU cannot mistake its path for anything else. */

import { resolve } from 'node:path'

/** A driver, its options, and its source. */
export interface BlockNode {
  readonly driver: string
  readonly [option: string]: BlockValue
}

type BlockValue = string | number | boolean | null | { readonly [option: string]: BlockValue }

/** A range of a file, in bytes. */
export interface Stretch {
  readonly offset: number
  readonly sizeBytes: number
}

/** A file on this host, byte for byte. */
export function fileNode(path: string): BlockNode {
  return { driver: 'file', filename: resolve(path) }
}

/** The disk in an image file that refers to no other files. `driver` is QEMU's name for the format: `qcow2`, `vpc`, … */
export function imageNode(driver: string, path: string): BlockNode {
  return { driver, file: fileNode(path) }
}

/** A range of another node. */
export function stretchNode(file: BlockNode, { offset, sizeBytes }: Stretch): BlockNode {
  return { driver: 'raw', offset, size: sizeBytes, file }
}

/** The node as one word of a command line. */
export function nodeName(node: BlockNode): string {
  return `json:${JSON.stringify(node)}`
}
