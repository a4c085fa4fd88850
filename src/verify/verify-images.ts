/** Verifies image files in parallel. */

import { setMaxListeners } from 'node:events'
import type { PipelineFields, Waiver } from '../config/pipeline.ts'
import type { ResolvedCheck } from '../config/resolved.ts'
import type { Expected } from '../contract/expected.ts'
import { machineSizes, type SceneName } from '../contract/scenes.ts'
import type { Json } from '../digest.ts'
import { allEnded } from '../host/all-ended.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { chooseAccelerator } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { CheckResult, ImageVerification } from '../report/verification.ts'
import type { Candidate } from './candidates.ts'
import { guestSlots, sizesOn } from './guest-slots.ts'
import { ownChecksOf, withOwn } from './own-checks.ts'
import { digestQuestions, readVerdict, writeVerdict } from './verdicts.ts'
import { askOwnChecks, type ImageRequest, pathFor, verifyImage } from './verify-image.ts'
import { applyWaivers } from './waivers.ts'

export interface VerifyRequest {
  readonly candidates: readonly Candidate[]
  readonly expected: Expected
  readonly waivers: readonly Waiver[]
  /** The pipeline's own checks, in addition to those of the contract. @default none */
  readonly ownChecks?: readonly ResolvedCheck[]
  readonly machine: PipelineFields['verification']
  readonly outFolder: string
  /** Folder for screenshots of scenes that fail. */
  readonly screenshotFolder: string
  /** Whether verdicts of earlier runs count. */
  readonly useVerdicts: boolean
  /** @default all scenes of each target */
  readonly scenes?: readonly SceneName[] | undefined
  /** Linux kernels to prove KVM with, best first. */
  readonly kernels: readonly string[]
  readonly forceAccelerator?: Accelerator | undefined
  /** Seconds that a part took last time. @default unknown */
  readonly estimate?: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

/** @returns a verification of each candidate, in their order, with waivers applied */
export async function verifyImages(request: VerifyRequest): Promise<readonly ImageVerification[]> {
  const { candidates, outFolder, emit } = request
  const failed = new AbortController()
  const signal = AbortSignal.any([request.signal, failed.signal])
  // Every guest and every program that a check runs listens to it.
  setMaxListeners(0, signal)
  const acceleration = await chooseAccelerator({
    arch: request.expected.arch,
    kernels: request.kernels,
    cacheDir: outFolderAt(outFolder).cache.path,
    force: request.forceAccelerator,
    signal,
  })
  if (acceleration.accelerator === 'tcg') emit({ kind: 'note', text: `without KVM: ${acceleration.reason}` })
  const machine = sizesOn(acceleration.accelerator, machineSizes(request.machine, request.expected.arch))
  const slots = guestSlots(acceleration.accelerator, machine)
  const verify = async (candidate: Candidate): Promise<ImageVerification> => {
    const verification = await verifyCandidate(candidate, {
      ...request,
      acceleration,
      machine,
      slots,
      signal,
    })
    emit({ kind: 'image-verified', verification })
    return verification
  }
  return allEnded(
    candidates.map((candidate) =>
      verify(candidate).catch((error: unknown) => {
        // An unreadable file is reported at once, not after all guests of the other files.
        failed.abort(error)
        throw error
      }),
    ),
  )
}

type Verifying = Omit<VerifyRequest, 'machine'> & Pick<ImageRequest, 'acceleration' | 'machine' | 'slots'>

/** The stored verdict on a candidate if it passed, otherwise a new one; with waivers applied. */
async function verifyCandidate(candidate: Candidate, request: Verifying): Promise<ImageVerification> {
  const { outFolder, waivers, scenes, useVerdicts } = request
  const contentOf = findContent(candidate, request.candidates)
  const questions = await digestQuestions({
    expected: request.expected as unknown as Json,
    accelerator: request.acceleration.accelerator,
    machine: { ...request.machine, routers: { ...request.machine.routers } },
    hasContent: contentOf === undefined,
  })
  // Some scenes alone do not make a verdict.
  const isWhole = scenes === undefined
  const kept = useVerdicts && isWhole ? await readVerdict(outFolder, candidate, questions) : undefined
  // Earlier results of the pipeline's own checks say nothing about what these checks ask now.
  const ofContract = kept === undefined ? undefined : withOwn(kept, [])
  if (ofContract !== undefined && applyWaivers(ofContract, waivers).status === 'passed') {
    const own = contentOf === undefined ? await examineOwn(candidate, request) : []
    const renewed = withOwn(ofContract, own)
    if (own.length > 0 || renewed.checks.length !== kept?.checks.length)
      await writeVerdict(outFolder, { ...renewed, cached: false }, questions)
    return { ...applyWaivers(renewed, waivers), path: pathFor(candidate.file, outFolder) }
  }
  const verification = await examine(candidate, contentOf, request)
  if (isWhole) await writeVerdict(outFolder, verification, questions)
  return applyWaivers(verification, waivers)
}

/** The file whose content is read for a candidate with the same disk; undefined if its own is read. */
function findContent({ madeFrom, file }: Candidate, candidates: readonly Candidate[]): string | undefined {
  const first = candidates.find((other) => other.madeFrom !== undefined && other.madeFrom === madeFrom)
  return first?.file === file ? undefined : first?.file
}

/** Runs only the pipeline's own checks, and reports each. */
async function examineOwn(candidate: Candidate, request: Verifying): Promise<readonly CheckResult[]> {
  const ownChecks = ownChecksOf(request.ownChecks ?? [])
  if (ownChecks.length === 0) return []
  const onCheck = (check: CheckResult) =>
    request.emit({ kind: 'check-finished', target: candidate.target, check })
  return askOwnChecks({ ...request, ...candidate, ownChecks, onCheck, onScenes: () => undefined })
}

/** Runs all checks of a candidate, and reports each. */
async function examine(
  candidate: Candidate,
  contentOf: string | undefined,
  request: Verifying,
): Promise<ImageVerification> {
  const { emit, estimate } = request
  const name = `verify ${candidate.target}`
  emit({ kind: 'part-started', name, estimateSeconds: estimate?.(name) })
  let at = 'file and content'
  let asked = 0
  const progress = () => emit({ kind: 'part-progress', name, text: `${at}, ${asked} checks` })
  const verification = await verifyImage({
    ...request,
    ...candidate,
    ownChecks: ownChecksOf(request.ownChecks ?? []),
    contentOf,
    onCheck: (check) => {
      asked += 1
      emit({ kind: 'check-finished', target: candidate.target, check })
      progress()
    },
    onScenes: (ended, total) => {
      at = `${ended} of ${total} scenes`
      progress()
    },
  })
  emit({ kind: 'part-finished', name, seconds: verification.seconds })
  return verification
}
