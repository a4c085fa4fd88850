/** Records of earlier runs: small JSON files that a build can do without, but only if they are really missing or wrong. */

import { constants, open } from 'node:fs/promises'
import type { z } from 'zod'
import { unlessMissing } from './unless-missing.ts'

const maximumBytes = 64 * 1024 ** 2

/**
 * The JSON in a file; undefined if the file is not there, too large, or not JSON.
 * @throws PipelineError `unreadable` if it cannot be read, which says nothing about its content
 */
export async function readJson(path: string, mostBytes = maximumBytes): Promise<unknown> {
  const text = await unlessMissing(path, async () => {
    // Opening a named pipe would wait for a writer.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const found = await file.stat()
      return found.isFile() && found.size <= mostBytes ? await file.readFile('utf8') : undefined
    } finally {
      await file.close()
    }
  })
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The record in a file; undefined if there is none of this schema. @throws PipelineError `unreadable` */
export async function readRecord<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  return schema.safeParse(await readJson(path)).data
}
