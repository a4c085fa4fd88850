/** Verifies image files side by side. */

import { setMaxListeners } from 'node:events'
import type { PipelineFields, Waiver } from '../config/pipeline.ts'
import type { Expected } from '../contract/expected.ts'
import type { SceneName } from '../contract/scenes.ts'
import type { Json } from '../digest.ts'
import { allEnded } from '../host/all-ended.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { chooseAccelerator } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { ImageVerification } from '../report/verification.ts'
import type { Candidate } from './candidates.ts'
import { guestSlots, sizesOn } from './guest-slots.ts'
import { digestQuestions, readVerdict, writeVerdict } from './verdicts.ts'
import { pathFor, verifyImage } from './verify-image.ts'
import { applyWaivers } from './waivers.ts'

export interface VerifyRequest {
  readonly candidates: readonly Candidate[]
  readonly expected: Expected
  readonly waivers: readonly Waiver[]
  readonly machine: PipelineFields['verification']
  readonly outFolder: string
  /** Folder for the evidence of failures. */
  readonly runFolder: string
  /** Whether verdicts of earlier runs count. */
  readonly useVerdicts: boolean
  /** @default all of each target */
  readonly scenes?: readonly SceneName[] | undefined
  /** Linux kernels to prove KVM with, best first. */
  readonly kernels: readonly string[]
  readonly forceAccelerator?: Accelerator | undefined
  /** Seconds that a part took last time. @default unknown */
  readonly estimate?: (name: string) => number | undefined
  readonly emit: Emit
  readonly signal: AbortSignal
}

export async function verifyImages(request: VerifyRequest): Promise<readonly ImageVerification[]> {
  const { candidates, outFolder, emit } = request
  const failed = new AbortController()
  const signal = AbortSignal.any([request.signal, failed.signal])
  // Every guest and every program of a check listens to it.
  setMaxListeners(0, signal)
  const acceleration = await chooseAccelerator({
    arch: 'x86_64',
    kernels: request.kernels,
    cacheDir: outFolderAt(outFolder).cache.path,
    force: request.forceAccelerator,
    signal,
  })
  if (acceleration.accelerator === 'tcg') emit({ kind: 'note', text: `without KVM: ${acceleration.reason}` })
  const { cpus, memoryMiB, routers } = request.machine
  const machine = sizesOn(acceleration.accelerator, { cpus, memoryMiB, routers })
  const slots = guestSlots(acceleration.accelerator, machine)
  const results: (ImageVerification | undefined)[] = candidates.map(() => undefined)
  const verifyOne = async (index: number): Promise<void> => {
    const candidate = candidates[index] as Candidate
    const first = candidates.find(({ madeFrom }) => madeFrom !== undefined && madeFrom === candidate.madeFrom)
    const contentOf = first === undefined || first === candidate ? undefined : first.file
    const questions = await digestQuestions({
      expected: request.expected as unknown as Json,
      accelerator: acceleration.accelerator,
      machine: machine as unknown as Json,
      hasContent: contentOf === undefined,
    })
    // Only some of the scenes make no verdict.
    const isWhole = request.scenes === undefined
    const kept =
      request.useVerdicts && isWhole ? await readVerdict(outFolder, candidate, questions) : undefined
    const judged = kept === undefined ? undefined : applyWaivers(kept, request.waivers)
    if (judged?.status === 'passed') {
      results[index] = { ...judged, path: pathFor(candidate.file, outFolder) }
      emit({ kind: 'image-verified', verification: results[index] as ImageVerification })
      return
    }
    const part = `verify ${candidate.target}`
    emit({ kind: 'part-started', name: part, estimateSeconds: request.estimate?.(part) })
    let at = 'file and content'
    let asked = 0
    const progress = () => emit({ kind: 'part-progress', name: part, text: `${at}, ${asked} checks` })
    const verification = await verifyImage({
      ...candidate,
      expected: request.expected,
      contentOf,
      acceleration,
      machine,
      slots,
      scenes: request.scenes,
      runFolder: request.runFolder,
      outFolder,
      onCheck: (check) => {
        asked += 1
        emit({ kind: 'check-finished', target: candidate.target, check })
        progress()
      },
      onScenes: (ended, total) => {
        at = `${ended} of ${total} scenes`
        progress()
      },
      signal,
    })
    if (isWhole) await writeVerdict(outFolder, verification, questions)
    emit({ kind: 'part-finished', name: part, seconds: verification.seconds })
    results[index] = applyWaivers(verification, request.waivers)
    emit({ kind: 'image-verified', verification: results[index] as ImageVerification })
  }
  await allEnded(
    candidates.map((_, index) =>
      verifyOne(index).catch((error: unknown) => {
        // What cannot be read is reported at once, not after all guests of the other files.
        failed.abort(error)
        throw error
      }),
    ),
  )
  return results.flatMap((result) => result ?? [])
}
