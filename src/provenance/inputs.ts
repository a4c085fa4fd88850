/** What an image was made from, stored next to the images: for the lock, the SBOM and the provenance. */

import { join } from 'node:path'
import { z } from 'zod'
import { readRecord } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { digestSchema, originSchema } from '../report/report.ts'

const archive = z.strictObject({
  suite: z.string().describe('as the sources name it, e.g. trixie-security'),
  url: z.string().describe('of the archive, without a trailing slash'),
  codename: z.string(),
  date: z.iso.datetime().describe('when the archive was published'),
  sha256: digestSchema.describe('of the signed InRelease'),
  signers: z.array(z.string()).describe('fingerprints of the primary keys whose signatures are good'),
})

const inputPackage = z.strictObject({
  name: z.string(),
  version: z.string(),
  architecture: z.string(),
  sha256: digestSchema.nullable().describe('of the .deb, by a signed index; null if no index lists it'),
  file: z.string().nullable().describe('path of the .deb below the archive'),
  licenses: z
    .array(z.string())
    .describe('SPDX expressions of its copyright file, all of which apply; empty if unknown'),
})

const inputLayer = z.strictObject({
  name: z.string(),
  key: digestSchema,
  sha256: digestSchema.describe("of the layer's qcow2"),
  script: digestSchema.nullable().describe('of the bytes of the stage’s script; null of the base'),
  files: z
    .record(z.string(), digestSchema)
    .describe('by the name of a folder that the stage was given: digest of its tree'),
  scripts: z.array(digestSchema).describe('of the base: those that its installer runs'),
  installerFiles: z
    .record(z.string(), digestSchema)
    .describe('of the base: what was booted to install it, by name; nothing if that was a tool'),
  tools: z.record(z.string(), z.string()).describe('versions on the host that made the layer'),
  origin: originSchema.optional(),
})

export const inputsSchema = z.strictObject({
  version: z.literal(1),
  variant: z.string(),
  installer: z.string(),
  snapshot: z.string().nullable().describe('instant of a snapshot archive; null for a mirror that changes'),
  archives: z.array(archive),
  packages: z.array(inputPackage),
  layers: z.array(inputLayer).describe('lowest first'),
  templates: z.record(z.string(), z.string()).describe('by path: mode and digest'),
})

/** Everything that one image was made from. */
export type Inputs = Readonly<z.output<typeof inputsSchema>>
export type InputArchive = z.output<typeof archive>
export type InputPackage = z.output<typeof inputPackage>
export type InputLayer = z.output<typeof inputLayer>

/** Path of the inputs for the images made from a layer. */
export function inputsPath(outFolder: string, layerKey: string): string {
  return join(outFolderAt(outFolder).inputs, `${layerKey}.json`)
}

/** The inputs for a layer's images; undefined if they were never written, or only by an older program. */
export async function readInputs(outFolder: string, layerKey: string): Promise<Inputs | undefined> {
  return readRecord(inputsPath(outFolder, layerKey), inputsSchema)
}
