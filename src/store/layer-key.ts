/** The identity of a layer: a digest of everything that determines its content. */

import { canonicalJson, type Json, sha256 } from '../digest.ts'

declare const layerKey: unique symbol

/** 64 hexadecimal digits made by `keyOf`, now or in an earlier run. */
export type LayerKey = string & { readonly [layerKey]: true }

/** What determines an installer's result, by name. */
export type BaseParts = InstallerParts & { readonly format: number; readonly installer: string }

/** The facts that a base is made from; changes are reported by these names. */
export type BaseFacts = {
  readonly suite: string
  readonly arch: string
  readonly [fact: string]: Json
}

/** An installer's own contribution. */
export type InstallerParts = BaseFacts & {
  /** Digests of the installer's scripts, or of its answers. */
  readonly scripts: readonly string[]
  /** Digest of the installer's command line. */
  readonly command: string
}

/** What determines a stage's result. */
export type StageParts = {
  /** Raised when a change in the engine makes earlier layers wrong. */
  readonly format: number
  readonly name: string
  /** Digest of the script's bytes. */
  readonly script: string
  readonly environment: Readonly<Record<string, string>>
  readonly sourceDateEpoch: number
  /** Files by folder name, each with mode and digest. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly leaves: readonly string[]
  readonly network: boolean
  readonly parent: LayerKey
}

/** What determines the final disk, in addition to the files of the last layer. */
export type RepackParts = {
  readonly format: number
  readonly name: typeof repackName
  /** Raised when the same files give different bytes. */
  readonly revision: number
  readonly sourceDateEpoch: number
  readonly parent: LayerKey
}

/** Name of the final disk's layer, which no stage may have. */
export const repackName = 'repack'

export type LayerParts = BaseParts | StageParts | RepackParts

export function keyOf(parts: LayerParts): LayerKey {
  return sha256(canonicalJson(parts)) as LayerKey
}

/** The key of the layer that a stage starts from; null for a base. */
export function parentOf(parts: LayerParts): LayerKey | null {
  return (parts.parent as LayerKey | undefined) ?? null
}

export function isBase(parts: LayerParts): parts is BaseParts {
  return parentOf(parts) === null
}

export function isStage(parts: LayerParts): parts is StageParts {
  return 'script' in parts && !isBase(parts)
}

/** Whether a text looks like a key. */
export function isLayerKey(text: string): text is LayerKey {
  return /^[0-9a-f]{64}$/.test(text)
}
