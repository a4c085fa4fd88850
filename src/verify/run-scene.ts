/** Brings a scene about, and asks its checks. Whatever happens is a result; only an interruption is thrown. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { contract } from '../config/contract.ts'
import type { Target } from '../config/image.ts'
import { PipelineError } from '../errors.ts'
import type { AcceleratorChoice } from '../host/accelerator.ts'
import { findFreePort } from '../host/ports.ts'
import type { CheckResult, SceneResult } from '../report/verification.ts'
import type { Check, Expected, Finding } from './check.ts'
import { deviceModels } from './device-models.ts'
import type { DiskSource } from './disk-source.ts'
import { agentPort, type Guest, type GuestOptions, type SavedGuest, startGuest } from './guest.ts'
import {
  type HandOver,
  makeHandOver,
  networksOf,
  plainNetworks,
  renderCommandLine,
  renderPortLines,
} from './hand-over.ts'
import { sceneChecksOf } from './registry.ts'
import {
  modelOf,
  type Scene,
  type SceneName,
  type SceneRecord,
  type SceneSpec,
  sceneSpecs,
} from './scenes.ts'
import { runSsh, type SshKey } from './ssh.ts'

export interface SceneRequest {
  readonly name: SceneName
  readonly target: Target
  readonly source: DiskSource
  readonly expected: Expected
  readonly acceleration: AcceleratorChoice
  readonly machine: Pick<GuestOptions, 'cpus' | 'memoryMiB'>
  /** Folder of this image's scenes; short, for the sake of sockets. */
  readonly folder: string
  readonly key: SshKey
  /** The disk's size, and the one that it is enlarged to in scenes that look at that. */
  readonly diskBytes: number
  readonly grownToBytes: number
  /** The boot that this scene goes on from. */
  readonly trunk?: Trunk | undefined
  /** Told of every result as it comes. */
  readonly onCheck: (result: CheckResult) => void
  readonly signal: AbortSignal
}

/** A boot that several scenes go on from. */
export interface Trunk {
  readonly saved: SavedGuest
  readonly record: SceneRecord
}

export interface SceneOutcome {
  readonly scene: SceneResult
  readonly checks: readonly CheckResult[]
  /** Path of a picture of the screen. */
  readonly screenshot: string | undefined
}

/** The port of old, under the name that CloudStack's hosts gave it. */
export const oldPort = 's-42-VM.vport'

/** How much longer than the contract's a time limit is where every instruction is emulated. */
const patience = { kvm: 1, tcg: 6 } as const

/** Boots the file until the guest agent has answered, and stops it there. */
export async function makeTrunk(request: Omit<SceneRequest, 'name' | 'trunk'>): Promise<Trunk> {
  const limit = limitOf(request)
  const guest = await bootFor({ ...request, name: 'secstorage' }, 'trunk', undefined, 0)
  try {
    const agent = await guest.waitForAgent(limit(60) + 60)
    const record: SceneRecord = { agentSeconds: guest.seconds() }
    record.syncAnswer = await agent.call('guest-sync', { id: 1234567890 })
    if (/ login:/.test(await guest.console())) record.loginSeconds = guest.seconds()
    return { saved: await guest.save(), record }
  } finally {
    await guest.close()
  }
}

export async function runScene(request: SceneRequest): Promise<SceneOutcome> {
  const { name, key, signal } = request
  const spec: SceneSpec = sceneSpecs[name]
  const started = performance.now()
  const model = modelOf(name, request.target, request.expected.formats?.vmware.diskController)
  const handOver = spec.role === undefined ? undefined : makeHandOver(spec.role, key.publicKey)
  const record: SceneRecord = { ...request.trunk?.record }
  const checks: CheckResult[] = []
  const describe = (more: Partial<SceneResult> = {}): SceneResult => ({
    name,
    summary: spec.summary,
    model,
    seconds: roundSeconds((performance.now() - started) / 1000),
    ...rounded(record),
    ...more,
  })
  const report = (check: Check, finding: Finding, seconds: number): void => {
    const result = resultOf(check, name, finding, seconds)
    checks.push(result)
    request.onCheck(result)
  }
  let guest: Guest | undefined
  try {
    const sshPort = await findFreePort()
    guest = await bootFor(request, name, handOver, sshPort)
    const scene: Scene = {
      name,
      guest,
      model,
      acceleration: request.acceleration,
      expected: request.expected,
      handOver,
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
    await bringAbout(scene, spec, request).catch((error: unknown) => {
      signal.throwIfAborted()
      record.trouble = messageOf(error)
    })
    const analysis = await analyseStartup(scene)
    for (const check of sceneChecksOf(name)) {
      const asked = performance.now()
      const finding = await check.run(scene).catch((error: unknown): Finding => {
        signal.throwIfAborted()
        const trouble = record.trouble === undefined ? '' : ` (${record.trouble})`
        return { status: 'failed', observed: `${messageOf(error)}${trouble}` }
      })
      report(check, finding, (performance.now() - asked) / 1000)
    }
    const isFine = checks.every(({ status }) => status !== 'failed')
    const lastLines = isFine ? {} : { lastLines: (await guest.console()).trimEnd().split('\n').slice(-20) }
    const screenshot = isFine ? undefined : await guest.screenshot().catch(() => undefined)
    return { scene: describe({ ...analysis, ...lastLines }), checks, screenshot }
  } catch (error) {
    signal.throwIfAborted()
    record.trouble = messageOf(error)
    const asked = new Set(checks.map(({ id }) => id))
    for (const check of sceneChecksOf(name)) {
      if (!asked.has(check.id)) report(check, { status: 'failed', observed: record.trouble }, 0)
    }
    const lastLines = linesOf(error)
    return { scene: describe({ lastLines: [...lastLines] }), checks, screenshot: undefined }
  } finally {
    await guest?.close()
  }
}

/** One check's result as the report has it. */
export function resultOf(check: Check, at: string, finding: Finding, seconds: number): CheckResult {
  return {
    id: check.id,
    title: contract[check.id].title,
    group: check.group,
    at,
    ...finding,
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
  handOver: HandOver | undefined,
  sshPort: number,
): Promise<Guest> {
  const { name, target, trunk } = request
  const spec: SceneSpec = sceneSpecs[name]
  const folder = join(request.folder, folderName)
  await mkdir(folder, { recursive: true })
  const isOnKvm = target === 'kvm'
  const ports = spec.isPortFirst === true ? [oldPort, agentPort] : [agentPort, ...(isOnKvm ? [oldPort] : [])]
  const isTold = handOver !== undefined && spec.way === 'firmware'
  return startGuest({
    ...request.machine,
    folder,
    backing: trunk?.saved.disk ?? request.source.node,
    diskBytes: spec.isBranch === true ? request.grownToBytes : request.diskBytes,
    model: deviceModels[modelOf(name, target, request.expected.formats?.vmware.diskController)],
    acceleration: request.acceleration,
    networks: handOver === undefined ? plainNetworks(sshPort) : networksOf(handOver, sshPort),
    ports,
    firmwareStrings: isTold ? [`cmdline:${renderCommandLine(handOver)}`] : [],
    incoming: trunk?.saved,
    signal: request.signal,
  })
}

/** Hands over what the scene wants to, and waits until the guest is where it should be. */
async function bringAbout(scene: Scene, spec: SceneSpec, request: SceneRequest): Promise<void> {
  const { guest, handOver, record, limit } = scene
  const sinceBoot = (request.trunk?.record.agentSeconds ?? 0) * (request.trunk === undefined ? 0 : 1)
  const login = async (): Promise<void> => {
    if (record.loginSeconds !== undefined) return
    await guest.waitForConsole(/ login:/, limit(60) + 60)
    record.loginSeconds = sinceBoot + guest.seconds()
  }
  if (handOver !== undefined && spec.way === 'port') {
    // As early as CloudStack's hosts did: nobody in the guest has opened the port yet.
    await guest.send(oldPort, renderPortLines(handOver, request.key.publicKey))
  }
  if (spec.way === 'none' && request.trunk === undefined) await login()
  const agent = await guest.waitForAgent(limit(60) + 60)
  record.agentSeconds ??= guest.seconds()
  if (handOver !== undefined) {
    const from = spec.way === 'agent' ? guest.seconds() : 0
    if (spec.way === 'agent') await agent.writeFile('/var/cache/cloud/cmdline', renderCommandLine(handOver))
    await waitUntilReady(guest, limit)
    record.readySeconds = guest.seconds() - from
  } else {
    await guest.run('systemctl is-system-running --wait', limit(180))
  }
  await login()
}

/** @throws Error when first boot is over and has not said so */
async function waitUntilReady(guest: Guest, limit: Scene['limit']): Promise<void> {
  const script = 'test -e /var/cache/cloud/boot_up_done && echo ready; systemctl is-system-running'
  let upSince: number | undefined
  for (const end = guest.seconds() + limit(240); guest.seconds() < end; ) {
    const { stdout } = await guest.run(script)
    if (stdout.startsWith('ready')) return
    const isUp = /^(running|degraded|maintenance)$/m.test(stdout)
    upSince = isUp ? (upSince ?? guest.seconds()) : undefined
    // Everything that boot starts has started: nobody is left who could write the file.
    if (upSince !== undefined && guest.seconds() - upSince > limit(5)) {
      throw new Error(`the system is ${stdout.trim()}, and there is no /var/cache/cloud/boot_up_done`)
    }
    await sleep(1000, undefined, { signal: guest.options.signal })
  }
  throw new Error(`no /var/cache/cloud/boot_up_done within ${limit(240)} s`)
}

/** Where the guest's boot time went. Only worth its time in scenes that are the only one of a file, or the first. */
async function analyseStartup({ guest, name, limit }: Scene): Promise<Partial<SceneResult>> {
  if (name !== 'secstorage' && name !== 'boot' && name !== 'virtualbox') return {}
  try {
    const { stdout } = await guest.run(
      'systemd-analyze time; systemd-analyze blame --no-pager | head -n 10',
      limit(30),
    )
    const [startup, ...rest] = stdout.split('\n')
    const slowest = rest.flatMap((line) => {
      const match = /^\s*([\d.]+(?:min [\d.]+)?m?s)\s+(\S+)$/.exec(line)
      return match === null ? [] : [{ unit: match[2] ?? '', time: match[1] ?? '' }]
    })
    return startup?.startsWith('Startup finished') ? { startup: startup.trim(), slowest } : {}
  } catch {
    return {}
  }
}

function rounded({ agentSeconds, loginSeconds, readySeconds, trouble }: SceneRecord): Partial<SceneResult> {
  return {
    ...(agentSeconds === undefined ? {} : { agentSeconds: roundSeconds(agentSeconds) }),
    ...(loginSeconds === undefined ? {} : { loginSeconds: roundSeconds(loginSeconds) }),
    ...(readySeconds === undefined ? {} : { readySeconds: roundSeconds(readySeconds) }),
    ...(trouble === undefined ? {} : { trouble }),
  }
}

const roundSeconds = (seconds: number) => Math.round(seconds * 100) / 100

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function linesOf(error: unknown): readonly string[] {
  const lines = error instanceof PipelineError ? error.details.lastLines : undefined
  return Array.isArray(lines) ? lines.map(String) : []
}
