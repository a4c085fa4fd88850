/** Checks one image against the contract: the file, what is on the disk, and guests booted from it. */

import { copyFile, mkdir, rm } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import type { ContractName } from '../config/contract.ts'
import type { Check, Finding } from '../contract/check.ts'
import { contractOf, type Expected } from '../contract/expected.ts'
import { contentChecksOf, fileChecksOf } from '../contract/registry.ts'
import {
  type BaseBoot,
  type MachineSize,
  type MachineSizes,
  type SceneName,
  type SceneSpec,
  sceneSpecs,
  scenesFor,
  sizeOf,
} from '../contract/scenes.ts'
import { type DiskSource, locateDisk, virtualSizeOf } from '../disk/disk-source.ts'
import { unpackArchive } from '../disk/unpack.ts'
import { messageOf } from '../errors.ts'
import { createScratchFolder } from '../host/scratch-folder.ts'
import { type AcceleratorChoice, bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import { makeSshKey } from '../qemu/ssh.ts'
import type { CheckResult, DiskUsage, ImageVerification, SceneResult } from '../report/verification.ts'
import type { TargetName } from '../targets/registry.ts'
import { makeBaseBoot, type SceneRequest } from './boot-scene.ts'
import { openImageFiles } from './open-image-files.ts'
import { hasPanicked, resultOf, runScene } from './run-scene.ts'

export interface ImageRequest {
  /** Path of the file that ships. */
  readonly file: string
  readonly target: TargetName
  readonly sha256: string
  readonly expected: Expected
  /** File whose disk is proved to be the same and is read for both. Absent: this one is read. */
  readonly contentOf?: string | undefined
  readonly acceleration: AcceleratorChoice
  readonly machine: MachineSizes
  /** Only these of the target's scenes. @default all */
  readonly scenes?: readonly SceneName[] | undefined
  /** Folder for screenshots. */
  readonly runFolder: string
  readonly outFolder: string
  readonly onCheck: (result: CheckResult) => void
  readonly onScene: (name: string) => void
  readonly signal: AbortSignal
}

/** How much a disk is enlarged by in scenes that check growing. Its root then has half as much again. */
const growthBytes = 2 * 1024 ** 3

/** @throws PipelineError `disk-unreadable`; whatever a check finds is a result */
export async function verifyImage(request: ImageRequest): Promise<ImageVerification> {
  const started = performance.now()
  const { file, target, signal } = request
  const scratch = await createScratchFolder()
  const checks: CheckResult[] = []
  const onCheck = (result: CheckResult) => {
    checks.push(result)
    request.onCheck(result)
  }
  try {
    const unpacked = await unpackArchive(file, scratch.folder, signal)
    const source = await locateDisk(unpacked, { signal })
    // Computing checksums takes longest, and does not involve the guests.
    const asFile = checkFile(request, source, onCheck)
    asFile.catch(() => undefined)
    const known = request.expected.contract
    const isRead = request.contentOf === undefined || known === undefined
    const content: Content = isRead
      ? await checkContent(request, source, scratch.folder, onCheck)
      : { contract: known }
    const { contract, usage } = content
    const scenes = await runScenes(request, contract, source, scratch.folder, (results) =>
      checks.push(...results),
    )
    await asFile
    const isFine = checks.every(({ status }) => status !== 'failed')
    const { contentOf } = request
    return {
      path: pathFor(file, request.outFolder),
      target,
      ...(contract === 'cloudstack' ? {} : { contract }),
      format: source.format,
      sha256: request.sha256,
      status: isFine ? 'passed' : 'failed',
      cached: false,
      seconds: Math.round(performance.now() - started) / 1000,
      accelerator: request.acceleration.accelerator,
      ...(contentOf === undefined ? {} : { contentOf: pathFor(contentOf, request.outFolder) }),
      ...(usage === undefined ? {} : { usage }),
      scenes: [...scenes],
      checks,
    }
  } finally {
    await scratch.remove()
  }
}

/** A path as it appears in reports. */
export function pathFor(file: string, outFolder: string): string {
  const inside = relative(outFolder, file)
  return inside.startsWith('..') ? file : inside
}

async function checkFile(
  { file, target, expected, signal }: ImageRequest,
  source: DiskSource,
  onCheck: (result: CheckResult) => void,
): Promise<void> {
  const subject = { source, packedAs: file, target, expected, signal }
  for (const check of fileChecksOf(target))
    onCheck(await ask(check, 'file', () => check.run(subject), signal))
}

interface Content {
  /** The one it was checked against. */
  readonly contract: ContractName
  /** Undefined if it was not read. */
  readonly usage?: DiskUsage
}

async function checkContent(
  { expected, signal, onScene }: ImageRequest,
  source: DiskSource,
  folder: string,
  onCheck: (result: CheckResult) => void,
): Promise<Content> {
  onScene('content')
  const workFolder = join(folder, 'content')
  await mkdir(workFolder)
  const files = await openImageFiles(source, workFolder, signal)
  try {
    const subject = { files, expected }
    const contract = expected.contract ?? (await contractOf(files))
    for (const check of contentChecksOf(contract)) {
      onCheck(await ask(check, 'content', () => check.run(subject), signal))
    }
    return { contract, usage: await files.measure() }
  } finally {
    await files.close()
    await rm(workFolder, { recursive: true, force: true })
  }
}

async function ask(
  check: Check,
  at: string,
  run: () => Promise<Finding>,
  signal: AbortSignal,
): Promise<CheckResult> {
  const started = performance.now()
  const finding = await run().catch((error: unknown): Finding => {
    signal.throwIfAborted()
    return { status: 'failed', observed: messageOf(error) }
  })
  return resultOf(check, at, finding, (performance.now() - started) / 1000)
}

async function runScenes(
  request: ImageRequest,
  contract: ContractName,
  source: DiskSource,
  folder: string,
  onResults: (results: readonly CheckResult[]) => void,
): Promise<readonly SceneResult[]> {
  const { target, expected, acceleration, machine, onCheck, signal } = request
  const { scenes: wanted } = request
  const names = scenesFor(target, contract).filter((name) => wanted === undefined || wanted.includes(name))
  if (names.length === 0) return []
  const diskBytes = await virtualSizeOf(source)
  const shared: Omit<SceneRequest, 'name' | 'machine'> = {
    target,
    source,
    expected,
    contract,
    acceleration,
    folder,
    key: await makeSshKey(folder),
    diskBytes,
    grownToBytes: diskBytes + growthBytes,
    onCheck,
    signal,
  }
  const isEmulated = acceleration.accelerator === 'tcg'
  const baseBoots = new Map<MachineSize, BaseBoot>()
  const results: SceneResult[] = []
  for (const name of names) {
    request.onScene(name)
    const spec: SceneSpec = sceneSpecs[name]
    const wants = { ...shared, name, machine: sizeOf(name, machine) }
    let baseBoot: BaseBoot | undefined
    if (spec.isBranch === true) {
      baseBoot =
        baseBoots.get(wants.machine) ??
        (await steadily(
          () => makeBaseBoot(wants),
          ({ record }) => isEmulated && hasPanicked(record),
        ))
      baseBoots.set(wants.machine, baseBoot)
    }
    const { scene, checks, screenshot } = await steadily(
      () => runScene({ ...wants, baseBoot }),
      (outcome) => isEmulated && outcome.hasPanicked && baseBoot === undefined,
    )
    onResults(checks)
    results.push({ ...scene, ...(await keepPicture(request, name, screenshot)) })
  }
  return results
}

/** Boots an emulated guest again if it panics: that says nothing about the image. */
async function steadily<Outcome>(
  boot: () => Promise<Outcome>,
  hasPanicked: (outcome: Outcome) => boolean,
): Promise<Outcome> {
  let outcome = await boot()
  for (let boots = 1; hasPanicked(outcome) && boots < bootsOfEmulatedGuest; boots += 1) outcome = await boot()
  return outcome
}

async function keepPicture(
  { target, runFolder, outFolder }: ImageRequest,
  scene: string,
  picture: string | undefined,
): Promise<Partial<SceneResult>> {
  if (picture === undefined) return {}
  await mkdir(runFolder, { recursive: true })
  const kept = join(runFolder, `screen-${target}-${scene}${extname(picture)}`)
  await copyFile(picture, kept)
  return { screenshot: pathFor(kept, outFolder) }
}
