/** A check: one question about a file, its contents, or a guest booted from it. */

import type { AssertionId, ContractName } from '../config/contract.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import type { ImageFiles } from '../disk/image-files.ts'
import type { TargetName } from '../targets/registry.ts'
import type { Expected } from './expected.ts'
import type { Scene, SceneName } from './scenes.ts'

/** How results are grouped in displays. */
export const checkGroups = ['file', 'boot', 'hand-over', 'role', 'hygiene'] as const
export type CheckGroup = (typeof checkGroups)[number]

/** The result of one check. */
export interface Finding {
  /** `skipped`: cannot be checked here; `observed` says why. */
  readonly status: 'passed' | 'failed' | 'skipped'
  /** What was seen, for the person who has to fix it. */
  readonly observed: string
}

/** An image file, not booted. */
export interface FileSubject {
  readonly source: DiskSource
  /** The file that ships: `source.file`, or the archive it was unpacked from. */
  readonly packedAs: string
  readonly target: TargetName | undefined
  readonly expected: Expected
  readonly signal: AbortSignal
}

/** The file systems in an image. */
export interface ContentSubject {
  readonly files: ImageFiles
  readonly expected: Expected
}

interface CheckFields {
  readonly id: AssertionId
  readonly group: CheckGroup
  /** What it does, in one line. */
  readonly does: string
  /** Contracts that include the check. @default all */
  readonly contracts?: readonly ContractName[]
}

/** Checks the file itself. */
export interface FileCheck extends CheckFields {
  readonly at: 'file'
  /** @default files for every target */
  readonly targets?: readonly TargetName[]
  readonly run: (subject: FileSubject) => Promise<Finding>
}

/** Checks the content of the disk without booting it. */
export interface ContentCheck extends CheckFields {
  readonly at: 'content'
  readonly run: (subject: ContentSubject) => Promise<Finding>
}

/** Checks a booted guest. */
export interface SceneCheck extends CheckFields {
  readonly at: 'scene'
  readonly scenes: readonly SceneName[]
  /**
   * What must have happened for the result to mean anything. `nothing`: the check judges what was recorded along the way.
   * `taken`: the guest has accepted the hand-over. If it has not happened, the check is skipped, since another check reports
   * that.
   * @default 'agent', which gives it access to the guest
   */
  readonly needs?: 'nothing' | 'agent' | 'taken'
  /** Whether it turns the guest off, and therefore runs last in its scene. */
  readonly endsGuest?: boolean
  readonly run: (scene: Scene) => Promise<Finding>
}

export type Check = FileCheck | ContentCheck | SceneCheck

export const passed = (observed: string): Finding => ({ status: 'passed', observed })
export const failed = (observed: string): Finding => ({ status: 'failed', observed })
export const skipped = (reason: string): Finding => ({ status: 'skipped', observed: reason })

/** Passed with what was observed if there are no faults, otherwise failed with the faults. */
export function judge(faults: readonly string[], observed: string): Finding {
  return faults.length === 0 ? passed(observed) : failed(faults.join('; '))
}
