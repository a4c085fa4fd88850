/** How a target's file is inspected: what a hypervisor's tools read before anything is booted. */

import type { DiskSource } from '../disk/disk-source.ts'

export interface InspectedFile<Settings> {
  readonly source: DiskSource
  /** What it was written with; undefined for a file that somebody else has made. */
  readonly settings: Settings | undefined
  /** Size that its disk has to have; undefined where nobody knows. */
  readonly diskBytes: number | undefined
  readonly signal: AbortSignal
}

export interface Inspection {
  /** What is wrong. */
  readonly faults: readonly string[]
  /** What was seen, in one line. */
  readonly observed: string
}

export interface FileCheck<Settings> {
  /** What it does, in one line. */
  readonly does: string
  inspect(file: InspectedFile<Settings>): Promise<Inspection>
}

/** The fault of a value that is not the one that is expected; none where none is. */
export function differs(what: string, found: unknown, expected: unknown): string[] {
  if (expected === undefined || found === expected) return []
  return [`${what} is ${found ?? 'missing'}, expected ${expected}`]
}
