/** Copies the scripts and folders of stages as they were planned, so that edits during a build do not affect it. */

import { cp, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedStage } from '../config/resolved.ts'
import { canonicalJson, type Json, sha256 } from '../digest.ts'
import { makeFolder } from '../host/files.ts'
import { listTree } from '../host/hash-file.ts'
import { readRegular } from '../host/regular-file.ts'
import { writeFile } from '../host/writing.ts'
import { changedMeanwhile, unlessChanged } from '../plan/changed-meanwhile.ts'
import type { PlannedStage } from '../plan/plan.ts'
import type { Store } from '../store/store.ts'

/**
 * Copies the scripts and folders of stages into `folder`, and returns the stages with the paths of the copies.
 * @throws PipelineError `changed-meanwhile` if a copy does not match the layer's key
 */
export async function copyInputs(
  stages: readonly PlannedStage[],
  folder: string,
  store: Store,
  signal?: AbortSignal,
): Promise<readonly ResolvedStage[]> {
  await makeFolder(folder)
  return Promise.all(stages.map((planned) => copyStage(planned, folder, store, signal)))
}

async function copyStage(
  { stage, parts }: PlannedStage,
  folder: string,
  store: Store,
  signal: AbortSignal | undefined,
): Promise<ResolvedStage> {
  const bytes = await readRegular(stage.script).catch(unlessChanged(stage.name, stage.script))
  if (sha256(bytes) !== parts.script) throw changedMeanwhile(stage.name, stage.script)
  const script = join(folder, `${stage.name}.sh`)
  await writeFile(script, bytes)
  await store.keepSource(bytes)
  const files: Record<string, string> = {}
  for (const [name, path] of Object.entries(stage.files)) {
    const copy = join(folder, stage.name, name)
    await cp(path, copy, { recursive: true, verbatimSymlinks: true }).catch(unlessChanged(stage.name, path))
    const planned = (parts.files as Readonly<Record<string, Json>>)[name] ?? null
    const listing = await listTree(copy, signal).catch(unlessChanged(stage.name, path))
    if (canonicalJson(listing) !== canonicalJson(planned)) throw changedMeanwhile(stage.name, path)
    for (const file of Object.keys(listing)) await keepText(join(copy, file), store)
    files[name] = copy
  }
  return { ...stage, script, files }
}

/** `plan --why` only shows differences between smaller files. */
const largestText = 256 * 1024

async function keepText(path: string, store: Store): Promise<void> {
  const found = await lstat(path)
  if (found.isFile() && found.size <= largestText) await store.keepSource(await readRegular(path))
}
