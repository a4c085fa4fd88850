/** How a target's file is checked without booting it. */

import type { DiskSource } from '../disk/disk-source.ts'

export interface InspectedFile<Settings> {
  readonly source: DiskSource
  /** Settings that it was written with; undefined for files from elsewhere. */
  readonly settings: Settings | undefined
  /** Expected disk size; undefined if unknown. */
  readonly diskBytes: number | undefined
  readonly signal: AbortSignal
}

export interface Inspection {
  /** What is wrong, if anything. */
  readonly faults: readonly string[]
  /** What was found, in one line. */
  readonly observed: string
}

export interface TargetCheck<Settings> {
  /** What the check does, in one line. */
  readonly does: string
  inspect(file: InspectedFile<Settings>): Promise<Inspection>
}

/** A fault if the value differs from the expected one; none if nothing is expected. */
export function differs(what: string, found: unknown, expected: unknown): string[] {
  if (expected === undefined || found === expected) return []
  return [`${what} is ${found ?? 'missing'}, expected ${expected}`]
}
