/** Finds the images of a release where builds left them, and every reason why they cannot be released. */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ResolvedImage } from '../config/resolved.ts'
import type { Package } from '../debian/dpkg-status.ts'
import { PipelineError } from '../errors.ts'
import { type Checksums, computeChecksums } from '../export/checksums.ts'
import { readRecord } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { lookAtFreshness } from '../plan/freshness.ts'
import { planImage } from '../plan/plan.ts'
import { gatherInputs } from '../provenance/gather.ts'
import { type Inputs, readInputs } from '../provenance/inputs.ts'
import { type ImageResult, mostReportBytes, type Report, reportSchema } from '../report/report.ts'
import type { ImageVerification } from '../report/verification.ts'
import { layersOf, layersUpTo } from '../store/chain.ts'
import { type LayerKey, repackName } from '../store/layer-key.ts'
import { openStore } from '../store/store.ts'
import type { TargetName } from '../targets/registry.ts'
import { findAnyVerdict, findVerdict } from '../verify/verdicts.ts'
import { applyWaivers } from '../verify/waivers.ts'
import { judgeUpdates } from './judge-freshness.ts'
import { chooseReadable, readImagePackages } from './read-image.ts'
import type { ReleaseException, ReleaseVariant } from './record.ts'

export interface CollectRequest {
  readonly images: readonly ResolvedImage[]
  /** Output folders of builds whose verdicts the user vouches for; if there are none, `outFolder` has the builds. */
  readonly vouchedFor: readonly string[]
  /** Targets to leave out of the release. */
  readonly leftOut: readonly TargetName[]
  /** Output folder of this command, which remembers what archives have served. Only verdicts made in it count. */
  readonly outFolder: string
  /** Age of layer 0 from which images are refused, overriding the configuration. */
  readonly maximumAgeDays: number | undefined
  readonly signal: AbortSignal
}

/** One file in its present state. */
export interface CollectedFile {
  /** Path on this host. */
  readonly file: string
  readonly result: ImageResult
  readonly verification: ImageVerification | undefined
}

/** What a build produced for one variant. */
export interface CollectedVariant {
  readonly image: ResolvedImage
  /** Output folder of its build. */
  readonly folder: string
  readonly report: Report
  readonly files: readonly CollectedFile[]
  /** Undefined if an older version of this program built it. */
  readonly inputs: Inputs | undefined
  /** Packages in the image's dpkg database; undefined if it cannot be read. */
  readonly packages: readonly Package[] | undefined
  readonly freshness: ReleaseVariant['freshness']
}

export interface CollectedException extends ReleaseException {
  /** Whether the command line asks for it, so that it needs no `--allow`. @default false */
  readonly isChosen?: boolean
}

export interface Collected {
  readonly variants: readonly CollectedVariant[]
  /** Everything wrong with the images; empty if there is nothing. */
  readonly exceptions: readonly CollectedException[]
}

/** Collects the newest images of each variant. Reads every file once. */
export async function collectImages(request: CollectRequest): Promise<Collected> {
  const exceptions: CollectedException[] = []
  const variants: CollectedVariant[] = []
  for (const image of request.images) {
    const found = await collectVariant(image, request, exceptions)
    if (found !== undefined) variants.push(found)
  }
  const commits = new Set(variants.map(({ report }) => report.source?.commit ?? ''))
  if (commits.size > 1) {
    exceptions.push({
      kind: 'mixed',
      text: `the variants were built from ${commits.size} commits: ${[...commits].join(', ')}`,
    })
  }
  return { variants, exceptions }
}

// --- internal ---

async function collectVariant(
  image: ResolvedImage,
  request: CollectRequest,
  exceptions: CollectedException[],
): Promise<CollectedVariant | undefined> {
  const { variant } = image
  const say = (kind: ReleaseException['kind'], text: string) =>
    exceptions.push({ kind, text: `${variant}: ${text}` })
  const isVouchedFor = request.vouchedFor.length > 0
  const built = await findReport(variant, isVouchedFor ? request.vouchedFor : [request.outFolder])
  if (built === undefined) {
    say('partial', 'no build left images of it')
    return undefined
  }
  const { report, folder } = built
  judgeRun(report, image, say)
  await judgePlan(report, image, say)
  const wanted = image.targets.filter((target) => !request.leftOut.includes(target))
  for (const target of image.targets) {
    if (wanted.includes(target)) continue
    exceptions.push({ kind: 'partial', text: `${variant}: left out, as asked: ${target}`, isChosen: true })
  }
  const files = await Promise.all(
    wanted.map((target) =>
      collectFile(target, { report, folder, image, isVouchedFor, signal: request.signal, say }),
    ),
  )
  // A verdict on files alone says little about a system.
  const boots = files.reduce((sum, file) => sum + (file?.verification?.scenes.length ?? 0), 0)
  if (boots === 0 && image.verification.contract !== 'none') say('unverified', 'none of its files was booted')
  const inputs = await findInputs(report, folder, image, request.signal).catch(() => undefined)
  if (inputs === undefined) say('unrecorded', 'what it was made from is not recorded')
  const found = files.flatMap((file) => file ?? [])
  const packages = await readPackagesOf(found, request.signal)
  const freshness = await collectFreshness({ image, packages, inputs, say }, request)
  return { image, folder, report, files: found, inputs, packages, freshness }
}

/** Not enough is known here about an unreadable image to say why: making the release reports that. */
async function readPackagesOf(
  files: readonly CollectedFile[],
  signal: AbortSignal,
): Promise<readonly Package[] | undefined> {
  const readable = chooseReadable(files.map(({ file, result }) => ({ file, target: result.target })))
  if (readable === undefined) return undefined
  return readImagePackages(readable.file, signal).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof PipelineError)) throw error
    return undefined
  })
}

interface FreshnessFacts extends Pick<CollectedVariant, 'image' | 'packages' | 'inputs'> {
  readonly say: Say
}

/** Compares the packages in the image with those that the archives have now. */
async function collectFreshness(
  { image, packages, inputs, say }: FreshnessFacts,
  { outFolder, maximumAgeDays, signal }: CollectRequest,
): Promise<ReleaseVariant['freshness']> {
  if (packages === undefined) return null
  const versions = new Map(packages.map(({ name, version }) => [name, version]))
  const freshness = await lookAtFreshness({ image, packages: versions, outFolder, signal }, patienceMs)
  const question = { freshness, settings: image.freshness, maximumAgeDays, archives: inputs?.archives }
  const { exceptions, waived } = judgeUpdates({ ...question, now: new Date() })
  for (const { kind, text } of exceptions) say(kind, text)
  if (freshness.status === 'unknown') return null
  return { archives: freshness.archives, updates: freshness.updates, waived: [...waived] }
}

/** A release is worth downloading a few MB over a slow line. */
const patienceMs = 10 * 60_000

type Say = (kind: ReleaseException['kind'], text: string) => void

/** Of the runs that left images of a variant, the one that started last. */
async function findReport(
  variant: string,
  folders: readonly string[],
): Promise<{ readonly report: Report; readonly folder: string } | undefined> {
  const found: { readonly report: Report; readonly folder: string }[] = []
  for (const folder of folders) {
    const { runs } = outFolderAt(folder)
    for (const run of await readdir(runs).catch(() => [])) {
      if (!run.includes(`-${variant}-`)) continue
      const report = await readRecord(join(runs, run, 'report.json'), reportSchema, mostReportBytes)
      if (report?.image.variant === variant && report.images.length > 0) found.push({ report, folder })
    }
  }
  return found.sort((a, b) => (a.report.run.startedAt < b.report.run.startedAt ? -1 : 1)).at(-1)
}

function judgeRun({ run, source, image: built }: Report, image: ResolvedImage, say: Say): void {
  if (built.release !== image.release) {
    say('mixed', `built as release ${built.release}, but the pipeline makes ${image.release}`)
  }
  // A build whose verification failed reports that as its failure.
  const isUnverified = run.failure?.code === 'verification-failed'
  if (run.status !== 'succeeded') {
    say(isUnverified ? 'unverified' : 'partial', `run ${run.id} ${run.status}: ${run.failure?.message ?? ''}`)
  }
  if (source === undefined) say('dirty', 'the commit it was built from is unknown')
  else if (source.changed.length > 0) {
    const more = source.changed.length > 5 ? ', …' : ''
    say('dirty', `built with changes that are not committed: ${source.changed.slice(0, 5).join(', ')}${more}`)
  }
}

/** A release needs the pipeline and program that made its images. */
async function judgePlan({ stages, final, images }: Report, image: ResolvedImage, say: Say): Promise<void> {
  const plan = await planImage(image, openStore('/nonexistent'))
  const last = layersOf(plan).at(-1)
  const keys = new Set(images.map(({ madeFrom }) => madeFrom))
  if (keys.size > 1) say('mixed', `its files are made from ${keys.size} layers`)
  const [key] = keys
  const built = final ?? stages.at(-1)
  if (built !== undefined && key !== undefined && built.key !== key) {
    say('mixed', `its files are not made from the last layer of their run`)
  }
  if (key !== last?.key)
    say('mixed', 'built by another pipeline or program than this: the keys of its layers differ')
}

interface FileRequest {
  readonly report: Report
  readonly folder: string
  readonly image: ResolvedImage
  readonly isVouchedFor: boolean
  readonly signal: AbortSignal
  readonly say: Say
}

async function collectFile(target: TargetName, request: FileRequest): Promise<CollectedFile | undefined> {
  const { report, folder, image, isVouchedFor, signal, say } = request
  const result = report.images.find((candidate) => candidate.target === target)
  const file = join(folder, result?.path ?? '')
  const found = await stat(file).catch(() => undefined)
  if (result === undefined || found === undefined) {
    say('partial', `there is no file for ${target}`)
    return undefined
  }
  const { sha256 } = await computeChecksums(file, signal, ['sha256'])
  const isSame = sha256 === result.sha256
  if (!isSame) say('mixed', `${result.path} is not the file that the run made`)
  // The other checksums then match too: the run computed all three from the same bytes.
  const { md5, sha512 }: Checksums = isSame ? result : await computeChecksums(file, signal)
  const now = { ...result, sizeBytes: found.size, md5, sha256, sha512 }
  const known = isVouchedFor ? await findReported(now, report, folder) : await findVerdict(folder, now)
  const verification = known && applyWaivers(known, image.waivers)
  if (verification === undefined) {
    const isCopy = !isVouchedFor && (await findReported(now, report, folder)) !== undefined
    say('unverified', `${result.path} ${isCopy ? elsewhere : 'was not verified as it is now'}`)
  } else if (verification.status !== 'passed') {
    say('unverified', `${result.path} has not passed its verification`)
  }
  return { file, result: now, verification }
}

const elsewhere =
  'was verified in another folder, of which this is a copy: verify it here, or name this folder with --from if you trust its verdicts'

/** The verdict on exactly these bytes, by the verdict's file or by the report, wherever it was made. */
async function findReported(
  { sha256, target }: ImageResult,
  { verifications }: Report,
  folder: string,
): Promise<ImageVerification | undefined> {
  const reported = verifications?.find((one) => one.sha256 === sha256 && one.target === target)
  return (await findAnyVerdict(folder, { sha256, target })) ?? reported
}

/** What the build recorded, or what the layers say if they still exist. */
async function findInputs(
  { images, stages, final }: Report,
  outFolder: string,
  image: ResolvedImage,
  signal: AbortSignal,
): Promise<Inputs | undefined> {
  const key = (images[0]?.madeFrom ?? '') as LayerKey
  const known = await readInputs(outFolder, key)
  const made = stages.map(({ name, layer }) => ({ name, sha256: layer?.sha256 }))
  if (final !== undefined) made.push({ name: repackName, sha256: final.sha256 })
  const isOfRun = made.every(({ name, sha256 }) =>
    known?.layers.some((layer) => layer.name === name && layer.sha256 === sha256),
  )
  if (known !== undefined && isOfRun) return known
  const store = openStore(outFolderAt(outFolder).store)
  const last = await store.find(key)
  if (last === undefined) return undefined
  const layers = await layersUpTo(last, store)
  return layers[0]?.parent === null ? gatherInputs({ image, layers, store, outFolder, signal }) : undefined
}
