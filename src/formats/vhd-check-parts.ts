/** What the checks of a VHD's parts share. */

import type { VhdRule } from './vhd-check-rules.ts'

/** Called with a broken rule and what was found. */
export type Fault = (rule: VhdRule, found: string) => void

export interface Block {
  readonly index: number
  readonly start: number
}

/** Entries of the largest VHD, with the smallest blocks that any tool makes. */
export const mostEntries = 2 ** 22

export function readSize(bytes: Buffer, offset: number): number {
  return Number(bytes.readBigUInt64BE(offset))
}

export function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}
