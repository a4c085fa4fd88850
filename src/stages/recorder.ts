/** Turns the guest's output into a record of what its stages did: a state machine over lines, with the clock passed in. */

import { comparePackages } from '../debian/compare-packages.ts'
import { parseStageLine, type StageLine } from '../packer/stream.ts'
import type { PackageChange, StageArtifact } from '../report/report.ts'

/** What a stage did, as far as its output shows. */
export interface StageOutcome {
  readonly name: string
  readonly exitStatus: number
  readonly buildTimeSeconds: number
  readonly artifacts: readonly StageArtifact[]
  /** Promised paths that do not exist. */
  readonly missing: readonly string[]
  readonly packages: PackageChange
  readonly lastLines: readonly string[]
}

export type StageEvent =
  | { readonly kind: 'stage-began'; readonly name: string }
  | { readonly kind: 'stage-output'; readonly name: string; readonly text: string }
  | { readonly kind: 'stage-ended'; readonly outcome: StageOutcome }

/** Exit status with which `stage.sh` reports that the script succeeded but broke a promise. */
export const brokenPromise = 125

export interface StageRecorder {
  /** Takes one line; returns the event that it represents, if any. */
  readonly take: (line: string) => StageEvent | undefined
  /** Ends the running stage, if there is one: returns its outcome so far, with `exitStatus`. */
  readonly interrupt: (exitStatus: number) => StageOutcome | undefined
  /** Name of the running stage. */
  readonly running: () => string | undefined
}

const keptLines = 40

/**
 * @param installed packages by name before the first stage; the recorder keeps it up to date
 * @param mark the first word of the lines of `stage.sh` in this run
 * @param nowMs a monotonic clock
 */
export function createStageRecorder(
  installed: Map<string, string>,
  mark: string,
  nowMs: () => number,
): StageRecorder {
  let current: Draft | undefined

  const close = (draft: Draft, exitStatus: number): StageOutcome => {
    current = undefined
    const { name, artifacts, missing, lastLines, packages } = draft
    const buildTimeSeconds = Math.round(nowMs() - draft.startedMs) / 1000
    return { name, exitStatus, buildTimeSeconds, artifacts, missing, lastLines, packages }
  }

  /** A script may print lines that look like its wrapper's: stages do not overlap, and each ends under its own name. */
  const readLine = (text: string): StageLine => {
    const line = parseStageLine(text, mark)
    const isOutOfPlace =
      current !== undefined && (line.kind === 'begin' || (line.kind === 'end' && line.name !== current.name))
    return isOutOfPlace ? { kind: 'output', text } : line
  }

  const take = (text: string): StageEvent | undefined => {
    const line = readLine(text)
    if (line.kind === 'begin') {
      current = newDraft(line.name, nowMs())
      return { kind: 'stage-began', name: line.name }
    }
    if (current === undefined) return undefined
    switch (line.kind) {
      case 'output':
        current.lastLines.push(line.text)
        if (current.lastLines.length > keptLines) current.lastLines.shift()
        return { kind: 'stage-output', name: current.name, text: line.text }
      case 'artifact': {
        const { kind: _kind, ...artifact } = line
        current.artifacts.push(artifact)
        return undefined
      }
      case 'missing':
        current.missing.push(line.path)
        return undefined
      case 'package':
        if (line.isInstalled) current.listing.set(line.name, line.version)
        return undefined
      case 'packages-end':
        current.packages = comparePackages(installed, current.listing)
        installed.clear()
        for (const [name, version] of current.listing) installed.set(name, version)
        return undefined
      case 'end':
        return { kind: 'stage-ended', outcome: close(current, line.exitStatus) }
    }
  }

  return {
    take,
    interrupt: (exitStatus) => (current === undefined ? undefined : close(current, exitStatus)),
    running: () => current?.name,
  }
}

interface Draft {
  readonly name: string
  readonly startedMs: number
  readonly artifacts: StageArtifact[]
  readonly missing: string[]
  readonly lastLines: string[]
  readonly listing: Map<string, string>
  packages: PackageChange
}

function newDraft(name: string, startedMs: number): Draft {
  const packages = { added: [], removed: [], upgraded: [] }
  return { name, startedMs, artifacts: [], missing: [], lastLines: [], listing: new Map(), packages }
}
