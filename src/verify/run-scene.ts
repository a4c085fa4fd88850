/** Brings a scene about, and asks its checks. Whatever happens is a result; only an interruption is thrown. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContractName, contract } from '../config/contract.ts'
import type { Check, Finding, SceneCheck } from '../contract/check.ts'
import type { Expected } from '../contract/expected.ts'
import { sceneChecksOf } from '../contract/registry.ts'
import type { BaseBoot } from '../contract/scenes.ts'
import {
  type MachineSize,
  modelOf,
  type Scene,
  type SceneName,
  type SceneRecord,
  type SceneSpec,
  sceneSpecs,
} from '../contract/scenes.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import { messageOf, PipelineError } from '../errors.ts'
import {
  type BootArguments,
  makeBootArguments,
  networksOf,
  plainNetworks,
  renderCommandLine,
  traps,
} from '../guest/boot-arguments.ts'
import { agentPort, type Guest, startGuest } from '../guest/guest.ts'
import { findFreePort } from '../host/ports.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import { cleanText } from '../qemu/console.ts'
import { hasSign } from '../qemu/console-signs.ts'
import { runSsh, type SshKey } from '../qemu/ssh.ts'
import type { CheckResult, SceneResult } from '../report/verification.ts'
import type { DeviceModel } from '../targets/device-model.ts'
import { deviceModels, type TargetName } from '../targets/registry.ts'
import { analyseStartup, enterScene, oldPort } from './enter-scene.ts'

export interface SceneRequest {
  readonly name: SceneName
  readonly target: TargetName
  readonly source: DiskSource
  readonly expected: Expected
  readonly contract: ContractName
  readonly acceleration: AcceleratorChoice
  readonly machine: MachineSize
  /** Folder of this image's scenes; short, for the sake of sockets. */
  readonly folder: string
  readonly key: SshKey
  /** The disk's size, and the one that it is enlarged to in scenes that look at that. */
  readonly diskBytes: number
  readonly grownToBytes: number
  /** The boot that this scene goes on from. */
  readonly baseBoot?: BaseBoot | undefined
  /** Told of every result as it comes. */
  readonly onCheck: (result: CheckResult) => void
  readonly signal: AbortSignal
}

export interface SceneOutcome {
  /** Whether the kernel panicked before anything could be asked of it. */
  readonly hasPanicked: boolean
  readonly scene: SceneResult
  readonly checks: readonly CheckResult[]
  /** Path of a picture of the screen. */
  readonly screenshot: string | undefined
}

const shownLines = 20

/** How much longer than the contract's a time limit is where every instruction is emulated. */
const patience = { kvm: 1, tcg: 6 } as const

/** Boots the file until the guest agent has answered, and stops it there, for scenes like the one that is named. */
export async function makeBaseBoot(request: Omit<SceneRequest, 'baseBoot'>): Promise<BaseBoot> {
  const limit = limitOf(request)
  const record: SceneRecord = {}
  let guest: Guest | undefined
  try {
    guest = await bootFor(request, `baseBoot-${request.name}`, undefined, 0)
    const agent = await guest.waitForAgent(limit(60) + 60, limit(10))
    record.agentSeconds = guest.seconds()
    record.syncAnswer = await agent.call('guest-sync', { id: 1234567890 })
    if (hasSign(await guest.console(), 'loginPrompt')) record.loginSeconds = guest.seconds()
    return { saved: await guest.save(), record, lastLines: [], screenshot: undefined }
  } catch (error) {
    request.signal.throwIfAborted()
    if (hasSign((await guest?.console()) ?? '', 'loginPrompt')) record.loginSeconds = guest?.seconds() ?? 0
    record.trouble = troubleOf(error)
    const screenshot = await guest?.screenshot().catch(() => undefined)
    return { saved: undefined, record, lastLines: linesOf(error), screenshot }
  } finally {
    await guest?.close()
  }
}

/** @throws only when it is interrupted: all else is a result */
export async function runScene(request: SceneRequest): Promise<SceneOutcome> {
  const { name, key, baseBoot, signal } = request
  const spec: SceneSpec = sceneSpecs[name]
  const started = performance.now()
  const model = modelOf(name, request.target, request.expected.formats)
  // Of values that are commands G8 asks, and not of CloudStack's own scripts.
  const words = { ...(request.contract === 'cloudstack-payload' ? {} : traps), ...spec.words }
  const bootArguments =
    spec.role === undefined ? undefined : makeBootArguments(spec.role, key.publicKey, words)
  const record: SceneRecord = { ...baseBoot?.record }
  const asked = sceneChecksOf(name, request.contract)
  const checks: CheckResult[] = []
  const report = (check: Check, finding: Finding, seconds = 0): void => {
    const result = resultOf(check, name, finding, seconds)
    checks.push(result)
    request.onCheck(result)
  }
  const outcome = (evidence: Evidence, more: Partial<SceneResult> = {}): SceneOutcome => ({
    hasPanicked: hasPanicked(record),
    scene: {
      name,
      summary: spec.summary,
      model,
      seconds: roundSeconds((performance.now() - started) / 1000),
      ...rounded(record),
      ...more,
      ...(evidence.lastLines.length === 0 ? {} : { lastLines: [...evidence.lastLines] }),
    },
    checks,
    screenshot: evidence.screenshot,
  })
  if (baseBoot !== undefined && baseBoot.saved === undefined) {
    for (const check of asked) report(check, withoutGuest(check, asked, record))
    return outcome(baseBoot)
  }
  const sshPort = await findFreePort()
  let guest: Guest
  try {
    guest = await bootFor(request, name, bootArguments, sshPort)
  } catch (error) {
    signal.throwIfAborted()
    record.trouble = troubleOf(error)
    for (const check of asked) report(check, withoutGuest(check, asked, record))
    return outcome({ lastLines: linesOf(error), screenshot: undefined })
  }
  try {
    const scene: Scene = {
      name,
      guest,
      model,
      acceleration: request.acceleration,
      expected: request.expected,
      contract: request.contract,
      bootArguments,
      record,
      grownToBytes: spec.isBranch === true ? request.grownToBytes : undefined,
      limit: limitOf(request),
      ssh: (command, { withKey }) =>
        runSsh(command, {
          port: sshPort,
          key: withKey ? key.file : undefined,
          limitSeconds: limitOf(request)(20),
          signal,
        }),
    }
    await enterScene(scene, spec, request).catch((error: unknown) => {
      signal.throwIfAborted()
      record.trouble = troubleOf(error)
    })
    const analysis = await analyseStartup(scene)
    let evidence: Evidence | undefined
    for (const check of asked) {
      // A guest that is off has no screen, and a console full of its shutdown.
      if (check.endsGuest === true) evidence = await lookAt(scene, checks)
      const since = performance.now()
      const finding = await askScene(check, scene, asked, signal)
      report(check, finding, (performance.now() - since) / 1000)
    }
    return outcome(evidence ?? (await lookAt(scene, checks)), analysis)
  } finally {
    await guest.close()
  }
}

/** Asks a check, if there is what its answer depends on. */
async function askScene(
  check: SceneCheck,
  scene: Scene,
  asked: readonly SceneCheck[],
  signal: AbortSignal,
): Promise<Finding> {
  const { record } = scene
  const { needs = 'agent' } = check
  if (needs !== 'nothing' && record.trouble !== undefined && record.trouble.id !== 'C4') {
    return withoutGuest(check, asked, record)
  }
  if (needs === 'taken' && record.wasTaken !== true) {
    return { status: 'skipped', observed: 'what was handed over was not taken, of which C3 tells' }
  }
  return check.run(scene).catch((error: unknown): Finding => {
    signal.throwIfAborted()
    return { status: 'failed', observed: messageOf(error) }
  })
}

/** What a check finds where there is no guest to look into: one of them fails, and the others point to it. */
function withoutGuest(
  check: SceneCheck,
  others: readonly SceneCheck[],
  { trouble, loginSeconds }: SceneRecord,
): Finding {
  const { id: best, text } = trouble ?? { id: 'B1' as const, text: 'the guest did not boot' }
  // Not every scene asks the one that says it best.
  const id = ([best, 'G1', 'C4'] as const).find((candidate) => others.some((other) => other.id === candidate))
  if (check.id === id) return { status: 'failed', observed: text }
  if (check.id === 'B1' && loginSeconds !== undefined) {
    return { status: 'passed', observed: `ttyS0 in ${loginSeconds.toFixed(0)} s` }
  }
  return { status: 'skipped', observed: `nothing can be seen of it, of which ${id} tells: ${text}` }
}

/** One check's result as the report has it. */
export function resultOf(check: Check, at: string, finding: Finding, seconds: number): CheckResult {
  return {
    id: check.id,
    title: contract[check.id].title,
    group: check.group,
    at,
    ...finding,
    // It may quote a file of the image, or a program in it.
    observed: cleanText(finding.observed),
    seconds: roundSeconds(seconds),
  }
}

// --- internal ---

function limitOf({ acceleration }: Pick<SceneRequest, 'acceleration'>): (seconds: number) => number {
  return (seconds) => seconds * patience[acceleration.accelerator]
}

async function bootFor(
  request: SceneRequest,
  folderName: string,
  bootArguments: BootArguments | undefined,
  sshPort: number,
): Promise<Guest> {
  const { name, target, baseBoot } = request
  const spec: SceneSpec = sceneSpecs[name]
  const folder = join(request.folder, folderName)
  await mkdir(folder, { recursive: true })
  const model: DeviceModel = deviceModels[modelOf(name, target, request.expected.formats)]
  const others = model.hasOldPort === true ? [oldPort] : []
  const ports = spec.isPortFirst === true ? [...others, agentPort] : [agentPort, ...others]
  const isTold = bootArguments !== undefined && spec.way === 'firmware'
  return startGuest({
    ...request.machine,
    folder,
    backing: baseBoot?.saved?.disk ?? request.source.node,
    diskBytes: spec.isBranch === true ? request.grownToBytes : request.diskBytes,
    model,
    acceleration: request.acceleration,
    networks: bootArguments === undefined ? plainNetworks(sshPort) : networksOf(bootArguments, sshPort),
    ports,
    hasSerialPort: spec.hasSerialPort ?? true,
    firmwareStrings: isTold ? [`cmdline:${renderCommandLine(bootArguments)}`] : [],
    incoming: baseBoot?.saved,
    signal: request.signal,
  })
}

interface Evidence {
  readonly lastLines: readonly string[]
  readonly screenshot: string | undefined
}

/** What a person wants to see of a boot that went wrong: the console's last lines, and the screen. */
async function lookAt({ guest, record }: Scene, checks: readonly CheckResult[]): Promise<Evidence> {
  const isFine = record.trouble === undefined && checks.every(({ status }) => status !== 'failed')
  if (isFine) return { lastLines: [], screenshot: undefined }
  const lastLines = (await guest.console()).trimEnd().split('\n').slice(-shownLines)
  return { lastLines, screenshot: await guest.screenshot().catch(() => undefined) }
}

function rounded({ agentSeconds, loginSeconds, readySeconds, trouble }: SceneRecord): Partial<SceneResult> {
  return {
    ...(agentSeconds === undefined ? {} : { agentSeconds: roundSeconds(agentSeconds) }),
    ...(loginSeconds === undefined ? {} : { loginSeconds: roundSeconds(loginSeconds) }),
    ...(readySeconds === undefined ? {} : { readySeconds: roundSeconds(readySeconds) }),
    ...(trouble === undefined ? {} : { trouble: trouble.text }),
  }
}

const roundSeconds = (seconds: number) => Math.round(seconds * 100) / 100

/** What a boot failed with, and the assertion that this is against. */
function troubleOf(error: unknown): NonNullable<SceneRecord['trouble']> {
  const code = error instanceof PipelineError ? error.code : undefined
  const id = code === 'agent-silent' ? 'C1' : code === 'not-ready' ? 'C4' : 'B1'
  return { id, text: messageOf(error), isPanic: code === 'guest-panicked' }
}

/** Whether the kernel panicked before anything could be asked of it. */
export function hasPanicked({ trouble, agentSeconds }: SceneRecord): boolean {
  return trouble?.isPanic === true && agentSeconds === undefined
}

function linesOf(error: unknown): readonly string[] {
  const lines = error instanceof PipelineError ? error.details.lastLines : undefined
  return Array.isArray(lines) ? lines.map(String) : []
}
