/** What exactly differs between a layer that has to be built and the one most like it: old and new, part by part. */

import { join } from 'node:path'
import { createTwoFilesPatch } from 'diff'
import { canonicalJson, type Json, sha256 } from '../digest.ts'
import { readRegularText } from '../host/regular-file.ts'
import type { KeySource } from '../installers/installer.ts'
import type { Store } from '../store/store.ts'
import { changedParts, ownChanges, type PlannedBase, type PlannedLayer, type PlannedStage } from './plan.ts'

/** One difference, as lines for people. */
export interface Difference {
  readonly part: string
  readonly lines: readonly string[]
}

/** All differences of a layer; empty if it is cached, was never built, or only its parent changed. */
export async function explainLayer(
  planned: PlannedLayer | PlannedBase | PlannedStage,
  store: Store,
): Promise<readonly Difference[]> {
  const { closest, parts } = planned
  if (closest === undefined) return []
  const names = ownChanges(closest.parts, parts)
  return Promise.all(
    names.map(async (part) => {
      const [before, after] = [closest.parts, parts].map(
        (of) => (of as Readonly<Record<string, Json>>)[part] ?? null,
      ) as [Json, Json]
      return { part, lines: await explainPart(part, before, after, planned, store) }
    }),
  )
}

async function explainPart(
  part: string,
  before: Json,
  after: Json,
  planned: PlannedLayer | PlannedBase | PlannedStage,
  store: Store,
): Promise<readonly string[]> {
  if (part === 'script' && 'stage' in planned) {
    return diffTexts(
      await store.readSource(String(before)),
      await readText(planned.stage.script),
      planned.stage.script,
    )
  }
  if (part === 'files' && 'stage' in planned) return explainFiles(before, after, planned.stage.files, store)
  if ('sources' in planned && (part === 'scripts' || part === 'command'))
    return explainSources(before, after, planned.sources, store)
  if (Array.isArray(before) && Array.isArray(after)) return explainLists(before, after)
  if (isMap(before) && isMap(after)) {
    const keys = changedParts(before, after)
    return keys.map((key) => `${key}: ${show(before[key])} → ${show(after[key])}`)
  }
  return [`${show(before)} → ${show(after)}`]
}

async function explainFiles(
  before: Json,
  after: Json,
  folders: Readonly<Record<string, string>>,
  store: Store,
): Promise<readonly string[]> {
  const lines: string[] = []
  for (const [name, folder] of Object.entries(folders)) {
    const [old, now] = [before, after].map((tree) =>
      isMap(tree) && isMap(tree[name] ?? null) ? tree[name] : {},
    ) as [Record<string, string>, Record<string, string>]
    for (const path of changedParts(old, now)) {
      const [oldText, newText] = [old[path], now[path]]
      if (oldText === undefined) lines.push(`added ${name}/${path}`)
      else if (newText === undefined) lines.push(`removed ${name}/${path}`)
      else {
        const digest = oldText.split(' ')[1] ?? ''
        lines.push(
          ...diffTexts(await store.readSource(digest), await readText(join(folder, path)), `${name}/${path}`),
        )
        if (oldText.split(' ')[0] !== newText.split(' ')[0]) lines.push(`mode of ${name}/${path} changed`)
      }
    }
  }
  return lines
}

/** Explains the digest of one text, or of several in order. */
async function explainSources(
  before: Json,
  after: Json,
  sources: readonly KeySource[],
  store: Store,
): Promise<readonly string[]> {
  const [old, now] = [[before].flat(), [after].flat()]
  const texts = now.map(async (digest, index) => {
    const source = sources.find(({ text }) => sha256(text) === digest)
    if (source === undefined || old[index] === digest) return []
    return diffTexts(await store.readSource(String(old[index])), source.text, source.name)
  })
  return (await Promise.all(texts)).flat()
}

function explainLists(before: readonly Json[], after: readonly Json[]): readonly string[] {
  const [old, now] = [before, after].map((list) => new Set(list.map(show))) as [Set<string>, Set<string>]
  const added = [...now].filter((item) => !old.has(item))
  const removed = [...old].filter((item) => !now.has(item))
  return [...added.map((item) => `+ ${item}`), ...removed.map((item) => `- ${item}`)]
}

function diffTexts(before: string | undefined, after: string | undefined, name: string): readonly string[] {
  if (before === undefined || after === undefined) return [`${name} changed; its earlier text was not kept`]
  const patch = createTwoFilesPatch(
    `${name} (stored)`,
    `${name} (now)`,
    before,
    after,
    undefined,
    undefined,
    { context: 2 },
  )
  // The first line of a patch is a separator.
  return patch.trimEnd().split('\n').slice(1)
}

function readText(path: string): Promise<string | undefined> {
  return readRegularText(path).catch(() => undefined)
}

function isMap(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: Json | undefined): string {
  if (value === undefined || value === null) return 'nothing'
  return typeof value === 'string' ? value : canonicalJson(value)
}
