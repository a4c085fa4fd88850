/** What `verify` found out about image files, as a schema that is part of the report's. */

import { z } from 'zod'
import { contractNames } from '../config/contract.ts'

const checkResult = z.strictObject({
  id: z.string().describe('of the assertion, e.g. A6'),
  title: z.string(),
  group: z.string(),
  at: z.string().describe('file, content, or the name of the scene'),
  status: z
    .enum(['passed', 'failed', 'waived', 'skipped'])
    .describe(
      'waived: failed, and the configuration says why that is right; skipped: cannot be checked here',
    ),
  observed: z.string(),
  reason: z.string().optional().describe('of the waiver'),
  seconds: z.number(),
})

const scene = z.strictObject({
  name: z.string(),
  summary: z.string(),
  model: z.string().describe('the devices it was booted with'),
  seconds: z.number().describe('on the host, checks included'),
  loginSeconds: z.number().optional().describe('from power-on to a login prompt on the serial console'),
  agentSeconds: z.number().optional().describe('from power-on to the first answer of the guest agent'),
  readySeconds: z.number().optional().describe('from the hand-over of arguments to boot_up_done'),
  startup: z.string().optional().describe("systemd-analyze's first line: where the guest's boot time goes"),
  slowest: z.array(z.strictObject({ unit: z.string(), time: z.string() })).optional(),
  trouble: z.string().optional().describe('why the scene did not run'),
  lastLines: z.array(z.string()).optional().describe('of the serial console, where something failed'),
  screenshot: z.string().optional().describe('picture of the screen; relative to out/'),
})

const usage = z
  .strictObject({
    filesBytes: z.int().min(0).describe('of all regular files'),
    folders: z
      .array(z.strictObject({ path: z.string(), sizeBytes: z.int().min(0) }))
      .max(10_000)
      .describe('that hold a noticeable part of it, by path, subfolders included'),
    packages: z
      .array(z.strictObject({ name: z.string(), sizeBytes: z.int().min(0) }))
      .max(20_000)
      .describe('largest first, with the files on their lists; what no list has is in none'),
  })
  .describe('what the files on the disk take, as their sizes say; absent where the content was not read')

export const imageVerification = z.strictObject({
  path: z.string().describe('relative to out/, or absolute if it is elsewhere'),
  target: z.string().nullable().describe('null if that is unknown'),
  contract: z
    .enum(['none', ...contractNames])
    .optional()
    .describe('the contract it was checked against, if not cloudstack'),
  format: z.string(),
  sha256: z.string(),
  status: z.enum(['passed', 'failed']),
  cached: z.boolean().describe('whether the verdict is an earlier one on the same bytes by the same checks'),
  seconds: z.number(),
  accelerator: z.string(),
  contentOf: z
    .string()
    .optional()
    .describe('file in which the same disk was read for the checks at "content"'),
  usage: usage.optional(),
  scenes: z.array(scene).max(1000),
  checks: z.array(checkResult).max(10_000),
})

/** The result of the command `verify`, outside of a build. */
export const verificationSchema = z.strictObject({
  version: z.literal(1),
  startedAt: z.iso.datetime(),
  durationSeconds: z.number(),
  images: z.array(imageVerification),
  unusedWaivers: z.array(z.string()),
  unchecked: z.array(z.strictObject({ id: z.string(), reason: z.string() })),
})

export type DiskUsage = z.output<typeof usage>
export type CheckResult = z.output<typeof checkResult>
export type SceneResult = z.output<typeof scene>
export type ImageVerification = z.output<typeof imageVerification>
export type Verification = z.output<typeof verificationSchema>
