/** Boots the guest of a scene, and the base boot from which several scenes resume. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AssertionId, ContractName } from '../config/contract.ts'
import type { Expected } from '../contract/expected.ts'
import {
  type BaseBoot,
  type MachineSize,
  modelOf,
  type SceneName,
  type SceneRecord,
  type SceneSpec,
  sceneSpecs,
} from '../contract/scenes.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { type BootArguments, networksOf, plainNetworks, renderCommandLine } from '../guest/boot-arguments.ts'
import { agentPort, type Guest, oldPort, startGuest } from '../guest/guest.ts'
import { makeFolder } from '../host/files.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import { hasSign } from '../qemu/console-signs.ts'
import type { SshKey } from '../qemu/ssh.ts'
import type { CheckResult } from '../report/verification.ts'
import type { DeviceModel } from '../targets/device-model.ts'
import { deviceModels, type TargetName } from '../targets/registry.ts'

export interface SceneRequest {
  readonly name: SceneName
  readonly target: TargetName
  readonly source: DiskSource
  readonly expected: Expected
  readonly contract: ContractName
  readonly acceleration: AcceleratorChoice
  readonly machine: MachineSize
  /** Folder for this image's scenes. Its path must be short, for the sockets in it. */
  readonly folder: string
  readonly key: SshKey
  /** The disk's size, and its enlarged size in scenes that check growing. */
  readonly diskBytes: number
  readonly grownToBytes: number
  /** The boot that this scene resumes from. */
  readonly baseBoot?: BaseBoot | undefined
  /** Called with each result as it arrives. */
  readonly onCheck: (result: CheckResult) => void
  readonly signal: AbortSignal
}

/** Factor for the contract's time limits: emulating every instruction takes longer. */
const patience = { kvm: 1, tcg: 6 } as const

/** Boots the file until the guest agent responds, and saves its state for scenes like the given one. */
export async function makeBaseBoot(request: Omit<SceneRequest, 'baseBoot'>): Promise<BaseBoot> {
  const limit = limitOf(request)
  const record: SceneRecord = {}
  let guest: Guest | undefined
  const facts = () => ({ bootedFor: request.name, record, waitingShare: guest?.waitingShare() ?? 0 })
  try {
    guest = await bootFor(request, `${sceneFolder(request)}-base`, undefined, 0)
    const agent = await guest.waitForAgent(limit(60) + 60, limit(10))
    record.agentSeconds = guest.seconds()
    record.syncAnswer = await agent.call('guest-sync', { id: 1234567890 })
    if (hasSign(await guest.console(), 'loginPrompt')) record.loginSeconds = guest.seconds()
    await settle(guest)
    return { ...facts(), saved: await guest.save(), lastLines: [], screenshot: undefined }
  } catch (error) {
    request.signal.throwIfAborted()
    if (hasSign((await guest?.console()) ?? '', 'loginPrompt')) record.loginSeconds = guest?.seconds() ?? 0
    record.trouble = troubleOf(error)
    const screenshot = await guest?.screenshot().catch(() => undefined)
    return { ...facts(), saved: undefined, lastLines: linesOf(error), screenshot }
  } finally {
    await guest?.close()
  }
}

/**
 * Lets the guest finish what it does while it waits for its arguments, once for all scenes that resume from here. Most of it
 * is making host keys, a third of the work of an emulated guest. First boot waits for 60 s: half of them are left for the
 * scenes.
 */
async function settle(guest: Guest): Promise<void> {
  let since: number | undefined
  for (let idleLooks = 0; idleLooks < 2; ) {
    const { stdout } = await guest.run(look)
    const [uptime, state, ...jobs] = stdout.split('\n')
    if (state === 'active') {
      const message = 'first boot stopped waiting for arguments before anything could resume from it'
      throw new PipelineError({ code: 'not-taken', message, exitCode: exitCodes.verificationFailed })
    }
    const now = Number(uptime)
    since ??= now
    if (!(now - since < longestSettlingSeconds)) return
    const running = jobs.filter((job) => job.trimEnd().endsWith('running'))
    // One job is the wait. Another may be about to start.
    idleLooks = running.length <= 1 ? idleLooks + 1 : 0
    await sleep(1000, undefined, { signal: guest.options.signal })
  }
}

const look =
  'cut -d " " -f 1 /proc/uptime; systemctl show -P ActiveState cloud-preinit; systemctl list-jobs --no-legend'
const longestSettlingSeconds = 30

export function limitOf({ acceleration }: Pick<SceneRequest, 'acceleration'>): (seconds: number) => number {
  return (seconds) => seconds * patience[acceleration.accelerator]
}

/** Folder of a scene's guest. */
export function sceneFolder({ folder, name }: Pick<SceneRequest, 'folder' | 'name'>): string {
  return join(folder, name)
}

export async function bootFor(
  request: SceneRequest,
  folder: string,
  bootArguments: BootArguments | undefined,
  sshPort: number,
): Promise<Guest> {
  const { name, target, baseBoot } = request
  const spec: SceneSpec = sceneSpecs[name]
  await makeFolder(folder)
  const model: DeviceModel = deviceModels[modelOf(name, target, request.expected.formats)]
  const others = model.hasOldPort === true ? [oldPort] : []
  const ports = spec.isPortFirst === true ? [...others, agentPort] : [agentPort, ...others]
  const isInFirmware = bootArguments !== undefined && spec.way === 'firmware'
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
    firmwareStrings: isInFirmware ? [`cmdline:${renderCommandLine(bootArguments)}`] : [],
    incoming: baseBoot?.saved,
    signal: request.signal,
  })
}

/** What a boot failed with, and the assertion that this violates. */
export function troubleOf(error: unknown): NonNullable<SceneRecord['trouble']> {
  const code = error instanceof PipelineError ? error.code : undefined
  const id = (code === undefined ? undefined : assertionOf[code]) ?? 'B1'
  return { id, text: messageOf(error), isPanic: code === 'guest-panicked' }
}

const assertionOf: Partial<Readonly<Record<ErrorCode, AssertionId>>> = {
  'agent-silent': 'C1',
  'not-taken': 'C3',
  'not-ready': 'C4',
}

export function linesOf(error: unknown): readonly string[] {
  const lines = error instanceof PipelineError ? error.details.lastLines : undefined
  return Array.isArray(lines) ? lines.map(String) : []
}
