/** Checks the host files of stages before anything is touched. */

import { stat } from 'node:fs/promises'
import { readRegularText } from '../host/regular-file.ts'
import { type Fault, formatFound } from './faults.ts'
import { faultOfSource, parseFileSource } from './file-source.ts'
import type { ResolvedImage } from './resolved.ts'
import { faultsOfShell } from './shell-syntax.ts'

/** Faults of the scripts and files of all stages: missing, empty, not a shell script, or a download without a checksum. */
export async function checkScripts(images: readonly ResolvedImage[]): Promise<Fault[]> {
  const stages = images.flatMap((image) => image.stages)
  const scripts = new Map(stages.map((stage) => [stage.script, stage.name]))
  const sources = new Map(
    stages.flatMap((stage) =>
      Object.entries(stage.files).map(
        ([name, path]) => [path, `stages.${stage.name}.files.${name}`] as const,
      ),
    ),
  )
  const unread = new Map(
    await Promise.all([...scripts.keys()].map(async (path) => [path, await faultOfText(path)] as const)),
  )
  const unparsed = await faultsOfShell([...scripts.keys()].filter((path) => unread.get(path) === undefined))
  const unfit = [...scripts].flatMap(([path, name]) => {
    const rule = unread.get(path) ?? unparsed.get(path)
    return rule === undefined ? [] : [{ path: `stages.${name}.script`, rule, found: path }]
  })
  return [...unfit, ...(await Promise.all([...sources].map(([text, at]) => sourceFault(text, at)))).flat()]
}

async function faultOfText(path: string): Promise<string | undefined> {
  try {
    const text = await readRegularText(path)
    return text.trim() === '' ? 'the script is empty' : undefined
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return missing ? 'the script does not exist' : 'cannot be read'
  }
}

async function sourceFault(text: string, at: string): Promise<Fault[]> {
  const source = parseFileSource(text)
  const rule = faultOfSource(source)
  if (rule !== undefined) return [{ path: at, rule, found: formatFound(text) }]
  if (source.isUrl) return []
  const found = await stat(source.location).catch(() => undefined)
  if (found?.isDirectory() && source.checksum !== undefined)
    return [{ path: at, rule: 'is a folder, which has no checksum', found: formatFound(text) }]
  if (found?.isDirectory() || found?.isFile()) return []
  return [{ path: at, rule: 'must be a folder or a tarball that exists', found: formatFound(text) }]
}
