/** Checks one image against the contract: the file, what is on the disk, and guests booted from it. */

import { copyFile, mkdir, rm } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import type { ContractName } from '../config/contract.ts'
import type { Finding } from '../contract/check.ts'
import { contractOf, type Expected } from '../contract/expected.ts'
import { contentChecksOf, fileChecksOf } from '../contract/registry.ts'
import { type MachineSizes, type SceneName, scenesFor } from '../contract/scenes.ts'
import { type DiskSource, locateDisk, virtualSizeOf } from '../disk/disk-source.ts'
import { withUnpacked } from '../disk/unpack.ts'
import { isOfHost, messageOf } from '../errors.ts'
import { allEnded } from '../host/all-ended.ts'
import { secondsSince } from '../host/elapsed.ts'
import { makeFolder } from '../host/files.ts'
import { createScratchFolder } from '../host/scratch-folder.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import { makeSshKey } from '../qemu/ssh.ts'
import type { CheckResult, DiskUsage, ImageVerification } from '../report/verification.ts'
import type { TargetName } from '../targets/registry.ts'
import type { GuestSlots } from './guest-slots.ts'
import { type OpenImageFiles, openImageFiles } from './open-image-files.ts'
import type { OwnCheck } from './own-checks.ts'
import { resultOf } from './run-scene.ts'
import { runScenes, type ScenesOutcome } from './run-scenes.ts'

export interface ImageRequest {
  /** Path of the file that ships. */
  readonly file: string
  readonly target: TargetName
  readonly sha256: string
  readonly expected: Expected
  /** The pipeline's own checks, run where the content is read. @default none */
  readonly ownChecks?: readonly OwnCheck[]
  /** File whose disk is proven to be the same, and which is read for both. Absent: this one is read. */
  readonly contentOf?: string | undefined
  readonly acceleration: AcceleratorChoice
  readonly machine: MachineSizes
  /** Only these scenes of the target. @default all */
  readonly scenes?: readonly SceneName[] | undefined
  /** Folder for screenshots. */
  readonly screenshotFolder: string
  readonly outFolder: string
  /** Shared by all images that are verified at the same time. */
  readonly slots: GuestSlots
  readonly onCheck: (result: CheckResult) => void
  /** Called before the first scene, and whenever one ends. */
  readonly onScenes: (ended: number, total: number) => void
  readonly signal: AbortSignal
}

/** How much a disk is enlarged in scenes that check growing. Its root is then half as large again. */
const growthBytes = 2 * 1024 ** 3

/** @throws PipelineError `disk-unreadable`; whatever a check finds is a result */
export async function verifyImage(request: ImageRequest): Promise<ImageVerification> {
  const scratch = await createScratchFolder()
  try {
    return await withUnpacked(request.file, scratch.folder, request.signal, (plain) =>
      verifyPlain(request, plain, scratch.folder),
    )
  } finally {
    await scratch.remove()
  }
}

/** Only the pipeline's own checks, for a file whose content is read. */
export async function askOwnChecks(request: ImageRequest): Promise<readonly CheckResult[]> {
  const scratch = await createScratchFolder()
  try {
    return await withUnpacked(request.file, scratch.folder, request.signal, async (plain) => {
      const source = await locateDisk(plain, { signal: request.signal })
      return withFiles(source, scratch.folder, request.signal, (files) => askOwn(request, files))
    })
  } finally {
    await scratch.remove()
  }
}

/** A path as it appears in reports. */
export function pathFor(file: string, outFolder: string): string {
  const inside = relative(outFolder, file)
  return inside.startsWith('..') ? file : inside
}

// --- internal ---

type AnyContract = ContractName | 'none'

/** @param plain the file itself, or its unpacked copy */
async function verifyPlain(request: ImageRequest, plain: string, folder: string): Promise<ImageVerification> {
  const started = performance.now()
  const { file, target, contentOf, expected, outFolder, signal } = request
  const source = await locateDisk(plain, { signal })
  const contract = expected.contract ?? (await withFiles(source, folder, signal, contractOf))
  // Before guests take the processors.
  const content = contentOf === undefined ? await checkContent(request, contract, source, folder) : undefined
  // Computing checksums takes longest, and does not involve the guests.
  const [ofFile, { scenes, checks: ofScenes }] = await allEnded([
    checkFile(request, contract, source),
    checkScenes(request, contract, source, folder),
  ])
  const checks = [...ofFile, ...(content?.checks ?? []), ...ofScenes]
  const isFine = checks.every(({ status }) => status !== 'failed')
  return {
    path: pathFor(file, outFolder),
    target,
    ...(contract === 'cloudstack' ? {} : { contract }),
    format: source.format,
    sha256: request.sha256,
    status: isFine ? 'passed' : 'failed',
    cached: false,
    seconds: secondsSince(started),
    accelerator: request.acceleration.accelerator,
    ...(contentOf === undefined ? {} : { contentOf: pathFor(contentOf, outFolder) }),
    ...(content === undefined ? {} : { usage: content.usage }),
    scenes: [...scenes],
    checks,
  }
}

async function checkFile(
  { file, target, expected, onCheck, signal }: ImageRequest,
  contract: AnyContract,
  source: DiskSource,
): Promise<readonly CheckResult[]> {
  if (contract === 'none') return []
  const subject = { source, packedAs: file, target, expected, signal }
  return askAll(fileChecksOf(target), 'file', (check) => check.run(subject), { onCheck, signal })
}

async function checkContent(
  request: ImageRequest,
  contract: AnyContract,
  source: DiskSource,
  folder: string,
): Promise<{ readonly checks: readonly CheckResult[]; readonly usage: DiskUsage }> {
  const { expected, signal } = request
  const checks = contract === 'none' ? [] : contentChecksOf(contract)
  return withFiles(source, folder, signal, async (files) => ({
    checks: [
      ...(await askAll(checks, 'content', (check) => check.run({ files, expected }), request)),
      ...(await askOwn(request, files)),
    ],
    usage: await files.measure(),
  }))
}

function askOwn(request: ImageRequest, files: OpenImageFiles): Promise<readonly CheckResult[]> {
  return askAll(request.ownChecks ?? [], 'content', (check) => check.run(files), request)
}

async function withFiles<Result>(
  source: DiskSource,
  folder: string,
  signal: AbortSignal,
  use: (files: OpenImageFiles) => Promise<Result>,
): Promise<Result> {
  const workFolder = join(folder, 'content')
  await mkdir(workFolder)
  const files = await openImageFiles(source, workFolder, signal)
  try {
    return await use(files)
  } finally {
    await files.close()
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function checkScenes(
  request: ImageRequest,
  contract: AnyContract,
  source: DiskSource,
  folder: string,
): Promise<ScenesOutcome> {
  if (contract === 'none') return { scenes: [], checks: [] }
  const { target, scenes: wanted, screenshotFolder, outFolder } = request
  const names = scenesFor(target, contract, request.expected, wanted)
  if (names.length === 0) return { scenes: [], checks: [] }
  const diskBytes = await virtualSizeOf(source)
  return runScenes({
    ...request,
    names,
    source,
    contract,
    folder,
    key: await makeSshKey(folder),
    diskBytes,
    grownToBytes: diskBytes + growthBytes,
    keepScreenshot: async (scene, file) => {
      await makeFolder(screenshotFolder)
      const kept = join(screenshotFolder, `screen-${target}-${scene}${extname(file)}`)
      await copyFile(file, kept)
      return pathFor(kept, outFolder)
    },
  })
}

async function askAll<AnyCheck extends Parameters<typeof resultOf>[0]>(
  checks: readonly AnyCheck[],
  at: string,
  run: (check: AnyCheck) => Promise<Finding>,
  { onCheck, signal }: Pick<ImageRequest, 'onCheck' | 'signal'>,
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of checks) {
    const started = performance.now()
    const finding = await run(check).catch((error: unknown): Finding => {
      signal.throwIfAborted()
      if (isOfHost(error)) throw error
      return { status: 'failed', observed: messageOf(error) }
    })
    const result = resultOf(check, at, finding, (performance.now() - started) / 1000)
    results.push(result)
    onCheck(result)
  }
  return results
}
