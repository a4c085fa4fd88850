/** Checks the host files of stages before anything is touched. */

import { stat } from 'node:fs/promises'
import { execa } from 'execa'
import { readRegularText } from '../host/regular-file.ts'
import { type Fault, formatFound } from './faults.ts'
import { faultOfSource, parseFileSource } from './file-source.ts'
import type { ResolvedImage } from './resolved.ts'

/** Faults of all stages' scripts and files: missing, empty, not shell, or a download without its checksum. */
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
  const faults = await Promise.all([
    ...[...scripts].map(([path, name]) => scriptFault(path, `stages.${name}.script`)),
    ...[...sources].map(([text, at]) => sourceFault(text, at)),
  ])
  return faults.flat()
}

async function scriptFault(path: string, at: string): Promise<Fault[]> {
  let text: string
  try {
    text = await readRegularText(path)
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return [{ path: at, rule: missing ? 'the script does not exist' : 'cannot be read', found: path }]
  }
  if (text.trim() === '') return [{ path: at, rule: 'the script is empty', found: path }]
  const parsed = await execa('sh', ['-n', '--', path], { reject: false, timeout: 10_000 })
  if (parsed.exitCode === 0) return []
  return [
    {
      path: at,
      rule: `is not valid shell (${parsed.stderr.replaceAll(`${path}: `, '').trim()})`,
      found: path,
    },
  ]
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
