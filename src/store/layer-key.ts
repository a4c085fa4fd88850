/** The identity of a layer: a digest of everything that decides what is in it. */

import { canonicalJson, type Json, sha256 } from '../digest.ts'

declare const layerKey: unique symbol

/** 64 hexadecimal digits that `keyOf` has made, now or in an earlier run. */
export type LayerKey = string & { readonly [layerKey]: true }

/** What decides what an installer makes, by name. */
export type BaseParts = InstallerParts & { readonly format: number; readonly installer: string }

/** The facts that a base is made from: what has changed is named by them. */
export type BaseFacts = {
  readonly suite: string
  readonly arch: string
  readonly [fact: string]: Json
}

/** What an installer has to say of it. */
export type InstallerParts = BaseFacts & {
  /** Digests of the scripts that the installer runs, or of its answers. */
  readonly scripts: readonly string[]
  /** Digest of what the installer is run with. */
  readonly command: string
}

/** What decides what a stage leaves. */
export type StageParts = {
  /** Raised when a change of the engine makes earlier layers wrong. */
  readonly format: number
  readonly name: string
  /** Digest of the script's bytes. */
  readonly script: string
  readonly environment: Readonly<Record<string, string>>
  readonly sourceDateEpoch: number
  /** By the name of a folder: its files, each with mode and digest. */
  readonly files: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly leaves: readonly string[]
  readonly network: boolean
  readonly parent: LayerKey
}

export type LayerParts = BaseParts | StageParts

export function keyOf(parts: LayerParts): LayerKey {
  return sha256(canonicalJson(parts)) as LayerKey
}

/** The key of the layer that a stage starts from; null of a base. */
export function parentOf(parts: LayerParts): LayerKey | null {
  return (parts.parent as LayerKey | undefined) ?? null
}

export function isBase(parts: LayerParts): parts is BaseParts {
  return parentOf(parts) === null
}

/** Whether a text has the form of a key. */
export function isLayerKey(text: string): text is LayerKey {
  return /^[0-9a-f]{64}$/.test(text)
}
