/** Reads a `pipeline.ts` and resolves it with the overrides of one run. */

import { stat } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { CompilationError, importModule } from '../compile/import-module.ts'
import { isPackage } from '../compile/program.js'
import { exitCodes, PipelineError } from '../errors.ts'
import { readRegularText } from '../host/regular-file.ts'
import { type Place, renderPlace } from '../text.ts'
import { isRecord, type Overrides } from './overrides.ts'
import type { Pipeline } from './pipeline.ts'
import { placeOfThrow } from './pipeline-places.ts'
import { resolvePipeline } from './resolve.ts'
import type { ResolvedImage, ResolvedPipeline } from './resolved.ts'

/** This project's pipeline, the system VM template; in the npm package, the pipeline of the current folder. */
export const defaultPipeline = isPackage
  ? 'pipeline.ts'
  : fileURLToPath(new URL('../../pipeline.ts', import.meta.url))

/** Imports a module by its absolute path. */
export type Import = (path: string) => Promise<unknown>

/**
 * Loads the default export of a pipeline file and resolves it.
 * @param payload source of CloudStack's scripts, for the stage that accepts one
 * @param snapshots for `mirror.snapshot: 'latest'`: the instant for each variant
 */
export async function loadPipeline(
  file: string,
  overrides: readonly Overrides[],
  payload?: string,
  snapshots?: ReadonlyMap<string, string>,
  load?: Import,
): Promise<ResolvedPipeline> {
  const pipeline = await importPipeline(file, load)
  const more = payload === undefined ? [] : [overridePayload(pipeline, resolvePath(file), payload)]
  return resolvePipeline(pipeline, [...overrides, ...more], process.env, snapshots)
}

/** The default export of a pipeline file, not checked yet. @throws PipelineError `pipeline-unreadable` */
export async function importPipeline(file: string, load: Import = importModule): Promise<Pipeline> {
  const path = resolvePath(file)
  const found = await stat(path).catch(() => undefined)
  // Importing a FIFO would never end.
  if (found?.isFile() !== true)
    throw badPipeline(
      `there is no pipeline file ${path}`,
      'give --pipeline the path of a pipeline.ts, or make an appliance with: init',
    )
  if (!/\.[cm]?[jt]s$/.test(path))
    throw badPipeline(
      `${path} does not have the name of a pipeline`,
      'give --pipeline the path of a .ts or .js file.',
    )
  let loaded: { readonly default?: unknown }
  try {
    loaded = (await load(path)) as { readonly default?: unknown }
  } catch (cause) {
    const { message } = cause as Error
    if (cause instanceof CompilationError)
      throw badPipeline(`${path} does not compile: ${message}`, 'correct it there.', cause)
    const place = await placeIn(path, cause)
    const where = place === undefined ? '' : `\n${renderPlace(path, place)}`
    throw badPipeline(
      `${path} could not be loaded: ${message}${where}`,
      'it threw an error while it was imported.',
      cause,
    )
  }
  const pipeline = loaded.default
  if (!isRecord(pipeline) || !Array.isArray(pipeline.stages)) {
    throw badPipeline(
      `${path} has no pipeline as its default export`,
      'end it with: export default definePipeline({…})',
    )
  }
  return pipeline as unknown as Pipeline
}

/** Where in a file an error was thrown; undefined if it was thrown elsewhere. */
async function placeIn(path: string, cause: unknown): Promise<Place | undefined> {
  const { message, stack = '' } = cause as Error
  const trace = stack.split(pathToFileURL(path).href)[1] ?? stack.split(path)[1]
  const [, line, column] = /^:(\d+):(\d+)/.exec(trace ?? '') ?? []
  if (line === undefined) return undefined
  const text = await readRegularText(path)
  const [, name] = /^([\w$]+) is not defined$/.exec(message) ?? []
  return placeOfThrow(text, { line: Number(line), column: Number(column) }, name)
}

/** A payload as an override for the stage that accepts CloudStack's scripts. @throws PipelineError `usage` */
function overridePayload({ stages }: Pipeline, path: string, payload: string): Overrides {
  for (const { name, spec } of stages) {
    const file = Object.entries(spec.fileKinds ?? {}).find(([, kind]) => kind === 'cloudstack')?.[0]
    if (file !== undefined)
      return { source: '--payload', values: { stages: { [name]: { [file]: payload } } } }
  }
  throw new PipelineError({
    code: 'usage',
    message: `--payload ${payload}: no stage of ${path} takes CloudStack's scripts`,
    hint: "leave it out, or add a stage whose fileKinds has one of kind 'cloudstack'.",
    exitCode: exitCodes.badInput,
  })
}

/** The images for a command: those named, or the default. */
export function chooseImages(
  { images }: ResolvedPipeline,
  names: readonly string[],
  all: boolean,
): readonly ResolvedImage[] {
  const named = names.map((name) => {
    const image = images.find(({ variant }) => variant === name)
    if (image !== undefined) return image
    const known = images.map(({ variant }) => variant).join(', ')
    throw new PipelineError({
      code: 'unknown-variant',
      message: `there is no variant ${JSON.stringify(name)}`,
      hint: `name one of ${known}.`,
      exitCode: exitCodes.badInput,
    })
  })
  if (all) return images
  return named.length === 0 ? images.slice(0, 1) : named
}

function badPipeline(message: string, hint: string, cause?: unknown): PipelineError {
  return new PipelineError({
    code: 'pipeline-unreadable',
    message,
    hint,
    exitCode: exitCodes.badInput,
    cause,
  })
}
