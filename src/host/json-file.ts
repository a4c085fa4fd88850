/** Records of earlier runs: small JSON files that a build can do without, but only if they are really missing or invalid. */

import type { z } from 'zod'
import { parseJson } from '../text.ts'
import { noneIfNotReadable, readRegularText } from './regular-file.ts'
import { unlessMissing } from './unless-missing.ts'

/**
 * The JSON in a file; undefined if the file is missing, too large, or not JSON.
 * @throws PipelineError `unreadable` if it cannot be read, which says nothing about its content
 */
export async function readJson(path: string, mostBytes?: number): Promise<unknown> {
  const text = await unlessMissing(path, () => readRegularText(path, mostBytes).catch(noneIfNotReadable))
  return text === undefined ? undefined : parseJson(text)
}

/** The record in a file; undefined if there is none that matches this schema. @throws PipelineError `unreadable` */
export async function readRecord<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  mostBytes?: number,
): Promise<z.output<Schema> | undefined> {
  return schema.safeParse(await readJson(path, mostBytes)).data
}
