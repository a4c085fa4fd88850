/** The report of one run: the content of `out/report.json`, as a schema that is also published. */

import { z } from 'zod'
import { lineOf, pathBelow } from '../text.ts'
import { freshnessSchema } from './freshness.ts'
import { imageVerification } from './verification.ts'

export const reportVersion = 1

/**
 * The report of a whole build has 300 kB. Its lists have limits too, since a page compares items of some lists with each
 * other.
 */
export const mostReportBytes = 16 * 1024 ** 2

/** Limit for the command of a run; anything longer is cut. */
export const mostWords = 1000
export const mostWordCharacters = 4096

export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/)

export const artifactSchema = z.strictObject({
  path: z
    .string()
    .max(4096)
    .regex(/^\/[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u)
    .describe('absolute path in the guest'),
  type: z.enum(['file', 'link', 'folder']),
  sha256: digestSchema.describe(
    'of the bytes; of a link: of its target; of a folder: of its sorted listing with content digests',
  ),
  sizeBytes: z.int().min(0),
  mode: z.string().regex(/^[0-7]{3,4}$/),
})

const packageName = z
  .string()
  .max(200)
  .regex(/^[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?$/)

const versionText = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9.+:~-]*$/)

const packageVersion = z.strictObject({ name: packageName, version: versionText })

export const packageChangeSchema = z.strictObject({
  added: z.array(packageVersion),
  removed: z.array(packageVersion),
  upgraded: z.array(z.strictObject({ name: packageName, from: versionText, to: versionText })),
})

const installedPackage = z.strictObject({
  name: packageName,
  version: versionText,
  architecture: z.string(),
  licenses: z
    .array(z.string())
    .describe('SPDX expressions of its copyright file, all of which apply; empty if unknown'),
})

const failure = z.strictObject({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  lastLines: z.array(z.string()).optional().describe('what the stage printed last'),
})

export const originSchema = z
  .strictObject({
    registry: lineOf(255).describe('repository of an OCI registry'),
    pulledAt: z.iso.datetime(),
    signedBy: lineOf(500).optional().describe('who signed it; absent if no signature was required'),
  })
  .describe('where a layer was pulled from; absent if it was made here')

const startedSeconds = z
  .number()
  .min(0)
  .optional()
  .describe('when it began, in seconds from the start of the run; absent if it did not run')

const stage = z.strictObject({
  name: z.string(),
  status: z.enum(['ran', 'cached', 'failed', 'skipped']),
  startedSeconds,
  build_time: z.number().min(0).describe('seconds on the host; of a cached stage, of the run that made it'),
  key: z.string().describe('content key of the layer'),
  log: z.string().nullable().describe('relative to out/'),
  exitStatus: z.int().nullable(),
  artifacts: z.array(artifactSchema),
  packages: packageChangeSchema,
  bytesWritten: z.int().min(0),
  layer: z.strictObject({ sha256: z.string(), sizeBytes: z.int() }).nullable(),
  origin: originSchema.optional(),
  failure: failure.optional(),
})

export const imageSchema = z.strictObject({
  target: z.string(),
  format: z.string(),
  path: pathBelow.describe('relative to out/'),
  sizeBytes: z.int(),
  allocatedBytes: z
    .int()
    .describe('what it takes on the disk of out/; less than its size where it is sparse'),
  virtualSizeBytes: z.int(),
  md5: z.string(),
  sha256: z.string(),
  sha512: z.string(),
  build_time: z.number(),
  madeFrom: z.string().describe('key of the layer'),
})

export const reportSchema = z.strictObject({
  version: z.literal(reportVersion),
  run: z.strictObject({
    id: z.string(),
    status: z.enum(['succeeded', 'failed', 'interrupted']),
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime(),
    durationSeconds: z.number(),
    command: z.array(z.string().max(mostWordCharacters)).max(mostWords),
    failure: failure.optional(),
  }),
  host: z.strictObject({
    accelerator: z.string().nullable().describe('kvm or tcg; null when no guest was started'),
    acceleratorReason: z.string().nullable(),
    cpus: z.int(),
    memoryMiB: z.int(),
    tools: z.record(z.string(), z.string()),
  }),
  source: z
    .strictObject({
      commit: z.string(),
      changed: z.array(z.string()).describe('paths that were not as committed; empty of a clean checkout'),
      repository: z.string().optional().describe('the remote origin, without a user and password'),
    })
    .optional()
    .describe('of the checkout that contains the pipeline; absent if there is none'),
  pinned: z
    .strictObject({
      snapshot: z.string().nullable().describe('instant of the snapshot archive that packages come from'),
      lock: z.string().nullable().describe('sha256 of the lock file that the build was checked against'),
    })
    .optional()
    .describe('what makes another machine get the same packages; with neither, nothing does'),
  image: z.strictObject({
    name: z.string(),
    release: z.string(),
    variant: z.string(),
    suite: z.string(),
    arch: z.string(),
    installer: z.string(),
    virtualSizeBytes: z.int(),
  }),
  timings: z
    .array(z.strictObject({ name: z.string(), startedSeconds, seconds: z.number() }))
    .max(1000)
    .describe('parts of the run that are not stages, such as the boot of the guest'),
  base: z
    .strictObject({
      key: digestSchema,
      sha256: digestSchema,
      sizeBytes: z.int().min(0).optional().describe('of the sealed file'),
      origin: originSchema.optional(),
    })
    .optional()
    .describe('layer 0; absent if the run ended before it was there'),
  stages: z.array(stage).max(1000),
  final: z
    .strictObject({ key: digestSchema, sha256: digestSchema, sizeBytes: z.int().min(0) })
    .optional()
    .describe(
      "the disk that images are made from; absent if that is the last stage's, or the run ended before",
    ),
  images: z.array(imageSchema).max(100),
  packages: z
    .array(installedPackage)
    .max(20_000)
    .optional()
    .describe('in the image, by name; absent where what it is made from is not recorded'),
  freshness: freshnessSchema
    .optional()
    .describe(
      'packages that the archives had in a newer version when the run ended; absent where no image was made',
    ),
  verifications: z
    .array(imageVerification)
    .max(100)
    .optional()
    .describe('of image files, by the checks of docs/verify.md; absent where nothing was verified'),
  unusedWaivers: z
    .array(z.string())
    .optional()
    .describe('checks that the configuration waives, and that did not fail'),
})

export type Report = z.output<typeof reportSchema>
export type StageResult = z.output<typeof stage>
export type StageArtifact = z.output<typeof artifactSchema>
export type PackageChange = z.output<typeof packageChangeSchema>
export type ImageResult = z.output<typeof imageSchema>
export type Failure = z.output<typeof failure>

/** The published JSON Schema of a report. */
export function reportJsonSchema(): object {
  return {
    $id: 'urn:systemvm-image:report:1',
    title: 'systemvm-image report',
    ...z.toJSONSchema(reportSchema),
  }
}
