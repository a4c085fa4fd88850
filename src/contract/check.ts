/** What a check is: one question to a file, to what is in it, or to a guest that was booted from it. */

import type { AssertionId, ContractName } from '../config/contract.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import type { TargetName } from '../targets/registry.ts'
import type { Expected } from './expected.ts'
import type { ImageFiles } from './image-files.ts'
import type { Scene, SceneName } from './scenes.ts'

/** How results are shown together. */
export const checkGroups = ['file', 'boot', 'hand-over', 'role', 'hygiene'] as const
export type CheckGroup = (typeof checkGroups)[number]

/** What a check has found out. */
export interface Finding {
  /** `skipped` is for what cannot be asked here; the reason is what was observed. */
  readonly status: 'passed' | 'failed' | 'skipped'
  /** What was seen, for whoever has to mend it. */
  readonly observed: string
}

/** A file as it lies there. */
export interface FileSubject {
  readonly source: DiskSource
  /** The file that ships: `source.file`, or the archive that it was unpacked from. */
  readonly packedAs: string
  readonly target: TargetName | undefined
  readonly expected: Expected
  readonly signal: AbortSignal
}

/** The file systems in it. */
export interface ContentSubject {
  readonly files: ImageFiles
  readonly expected: Expected
}

interface CheckFields {
  readonly id: AssertionId
  readonly group: CheckGroup
  /** What it does, in one line. */
  readonly does: string
  /** Which contract asks it. @default each */
  readonly contracts?: readonly ContractName[]
}

/** Asks the file itself. */
export interface FileCheck extends CheckFields {
  readonly at: 'file'
  /** @default files for every target */
  readonly targets?: readonly TargetName[]
  readonly run: (subject: FileSubject) => Promise<Finding>
}

/** Asks what is on the disk, without booting it. */
export interface ContentCheck extends CheckFields {
  readonly at: 'content'
  readonly run: (subject: ContentSubject) => Promise<Finding>
}

/** Asks a guest. */
export interface SceneCheck extends CheckFields {
  readonly at: 'scene'
  readonly scenes: readonly SceneName[]
  /**
   * What has to have come about for its answer to mean anything. `nothing`: it judges what was seen on the way. `taken`:
   * the guest has what was handed over. Without it a check is skipped, since another one tells of that.
   * @default 'agent', which is how it looks into the guest
   */
  readonly needs?: 'nothing' | 'agent' | 'taken'
  /** Whether the guest is off afterwards: it is the scene's last question. */
  readonly endsGuest?: boolean
  readonly run: (scene: Scene) => Promise<Finding>
}

export type Check = FileCheck | ContentCheck | SceneCheck

export const passed = (observed: string): Finding => ({ status: 'passed', observed })
export const failed = (observed: string): Finding => ({ status: 'failed', observed })
export const skipped = (reason: string): Finding => ({ status: 'skipped', observed: reason })

/** Passed with what was observed where nothing is wrong, or else failed with what is. */
export function judge(faults: readonly string[], observed: string): Finding {
  return faults.length === 0 ? passed(observed) : failed(faults.join('; '))
}
