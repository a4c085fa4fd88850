/** Which files to verify: those of the last build, or any others. */

import { basename, join, resolve as resolvePath } from 'node:path'
import type { ResolvedImage } from '../config/resolved.ts'
import { requireFile, unreadableDisk } from '../disk/unreadable.ts'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { hashFile } from '../host/hash-file.ts'
import { readRecord } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { type ImageResult, mostReportBytes, type Report, reportSchema } from '../report/report.ts'
import { type TargetName, targetNames, targets } from '../targets/registry.ts'

/** A file to verify. */
export interface Candidate {
  readonly file: string
  readonly target: TargetName
  readonly sha256: string
  /** What the disk was made from; files with the same origin are read once. Undefined if unknown. */
  readonly madeFrom: string | undefined
}

/** Whether the images of a pipeline are checked for anything. */
export function isVerified({
  verification,
  checks,
}: Pick<ResolvedImage, 'verification' | 'checks'>): boolean {
  return verification.contract !== 'none' || checks.length > 0
}

/** The files that a run made or found. */
export function candidatesOf(images: readonly ImageResult[], outFolder: string): readonly Candidate[] {
  return images.map(({ path, target, sha256, madeFrom }) => ({
    file: join(outFolder, path),
    target: target as TargetName,
    sha256,
    madeFrom,
  }))
}

/**
 * The files of the last build of a variant, unchanged since then.
 * @throws PipelineError `no-contract`, `no-image`, `disk-unreadable`
 */
export async function builtCandidates(
  image: ResolvedImage,
  outFolder: string,
  signal: AbortSignal,
): Promise<readonly Candidate[]> {
  if (!isVerified(image)) {
    throw new PipelineError({
      code: 'no-contract',
      message: 'this pipeline names no contract to check its images against, and has no checks of its own',
      hint: "set verification.contract to 'cloudstack', add checks, or name the files to verify.",
      exitCode: exitCodes.badInput,
    })
  }
  const report = await readReport(outFolder)
  if (report === undefined || report.image.variant !== image.variant || report.images.length === 0) {
    throw new PipelineError({
      code: 'no-image',
      message: `the last build in ${outFolder} left no image of ${image.variant}`,
      hint: 'build the image first, or name the files to verify.',
      exitCode: exitCodes.badInput,
    })
  }
  const candidates = candidatesOf(report.images, outFolder)
  await Promise.all(candidates.map((candidate) => requireBuilt(candidate, signal)))
  return candidates
}

/** @throws PipelineError `disk-unreadable`, `unknown-target` */
export async function foreignCandidates(
  files: readonly string[],
  target: TargetName | undefined,
  signal: AbortSignal,
): Promise<readonly Candidate[]> {
  return Promise.all(
    files.map(async (name) => {
      const file = resolvePath(name)
      const chosen = target ?? targetByName(file)
      return { file, target: chosen, sha256: await digestOf(file, signal), madeFrom: undefined }
    }),
  )
}

/** CloudStack's file names say what they are for; otherwise, the extension nearly always does. */
function targetByName(file: string): TargetName {
  const name = basename(file).toLowerCase()
  const found =
    targetNames.find((target) => targets[target].names.part.test(name)) ??
    targetNames.find((target) => targets[target].names.ending?.test(name))
  if (found !== undefined) return found
  throw new PipelineError({
    code: 'unknown-target',
    message: `the name of ${file} does not say what it is for`,
    hint: `give --target, one of ${targetNames.join(', ')}.`,
    exitCode: exitCodes.badInput,
  })
}

/** @throws PipelineError `no-image` for a file that someone has changed since */
async function requireBuilt({ file, sha256 }: Candidate, signal: AbortSignal): Promise<void> {
  const found = await digestOf(file, signal)
  if (found === sha256) return
  throw new PipelineError({
    code: 'no-image',
    message: `${file} is not what the last build made: sha256 ${found}, expected ${sha256}`,
    hint: 'build again, or name the file to verify it as any other.',
    exitCode: exitCodes.badInput,
  })
}

async function digestOf(file: string, signal: AbortSignal): Promise<string> {
  await requireFile(file)
  const { sha256 } = await hashFile(file, signal).catch((cause) => {
    signal.throwIfAborted()
    throw unreadableDisk(`cannot read the disk ${file}: ${messageOf(cause)}`, cause)
  })
  return sha256 as string
}

/** The report of the last build; undefined if there is none in this program's format. */
export async function readReport(outFolder: string): Promise<Report | undefined> {
  return readRecord(outFolderAt(outFolder).report, reportSchema, mostReportBytes)
}
