/** Everything that a guest is booted from for its stages: its kernel, the kit, the disks, and Packer's template. */

import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { sha256File } from '../digest.ts'
import type { Plan, PlannedStage } from '../plan/plan.ts'
import type { SavedState, States } from '../store/states.ts'
import type { Layer, Store } from '../store/store.ts'
import { readBootFiles } from './boot-files.ts'
import { freezeInputs } from './freeze.ts'
import { keyOfState } from './guest-state.ts'
import { buildUnit, makeBuildKit } from './kit.ts'
import { type Acceleration, buildKernelArguments, machineArguments } from './machine.ts'
import { type PackerDialect, renderPackerTemplate } from './packer-hcl.ts'
import { type RunPlace, temporaryPrefix } from './place.ts'
import { createOverlays } from './sealer.ts'

/** A short-lived folder of one run: sockets, keys, and what Packer wants to have for itself. */
export interface Workbench {
  readonly folder: string
  readonly qmpSocket: string
  readonly channelSocket: string
  readonly checkpointSocket: string
  readonly remove: () => Promise<void>
}

/**
 * Makes the folder, outside of `out/`: a socket's path must fit into 108 bytes, however deep a clone lies.
 * @param note told of the folder before it is there
 */
export async function createWorkbench(note?: (folder: string) => Promise<void>): Promise<Workbench> {
  // 108 bytes, less the longest name below, and those of this name.
  const parent = tmpdir().length > 50 ? '/tmp' : tmpdir()
  const folder = join(parent, `${temporaryPrefix}${randomBytes(6).toString('hex')}`)
  await note?.(folder)
  await mkdir(folder, { mode: 0o700 })
  return {
    folder,
    qmpSocket: join(folder, 'qmp'),
    channelSocket: join(folder, 'channel'),
    checkpointSocket: join(folder, 'checkpoint'),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

export interface GuestRequest {
  readonly plan: Plan
  readonly stages: readonly PlannedStage[]
  /** The layer that the first stage starts from. */
  readonly parent: Layer
  readonly store: Store
  readonly place: RunPlace
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly states: States
  /** Whether the guest may wake from a saved state. */
  readonly mayWake: boolean
  readonly qemuVersion: string
  /** Whether a stage that fails waits for somebody's decision. */
  readonly holdsFailures: boolean
  readonly packer: PackerDialect
  readonly checkpointCommand: (stage: string) => string
  readonly serialLog: string
}

export interface PreparedGuest {
  /** Path of the rendered template. */
  readonly template: string
  readonly acceleration: Acceleration
  /** The state that the guest wakes from; without one it boots. */
  readonly state: SavedState | undefined
  /** Opens the guest to root. */
  readonly privateKey: string
  /** What a guest that wakes has to be given. */
  readonly renewal: Uint8Array
  /** Key of the state of this machine on a layer. */
  readonly keyOfState: (layer: string) => Promise<string>
}

/** Prepares the guest: after this `packer build` has all it needs. */
export async function prepareGuest(request: GuestRequest, bench: Workbench): Promise<PreparedGuest> {
  const { plan, stages, parent, store, place } = request
  const { image, layout } = plan
  const resolved = await freezeInputs(stages, join(place.folder, 'inputs'), store)
  const bootFiles = await readBootFiles(store.disk(parent.key), layout, join(bench.folder, 'boot'))
  const acceleration = await request.acceleration(bootFiles.kernel)
  const kit = await makeBuildKit(
    join(bench.folder, 'kit'),
    bootFiles.initrd,
    resolved,
    image.sourceDateEpoch,
    request.holdsFailures,
  )
  const [first] = stages as readonly [PlannedStage]
  const machine = { ...acceleration, ...image.machine, qemuVersion: request.qemuVersion }
  const stateKey = (layer: string) => keyOfState(machine, layer)
  const state = request.mayWake
    ? await findSound(request.states, await stateKey(parent.key), parent)
    : undefined
  await createOverlays(store, stages, layout.sizeBytes)
  if (state !== undefined) await request.states.use(state, store.disk(first.key))
  const dummyDisk = join(bench.folder, 'dummy.qcow2')
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', dummyDisk, '1M'], { timeout: 30_000 })
  const rootUuid = layout.partitions.find(({ mount }) => mount === '/')?.uuid ?? ''
  const template = join(place.folder, 'build.pkr.hcl')
  const text = renderPackerTemplate({
    variant: image.variant,
    dialect: request.packer,
    dummyDisk,
    dummyDigest: `sha256:${await sha256File(dummyDisk)}`,
    outputFolder: join(bench.folder, 'output'),
    machineName: image.name,
    accelerator: acceleration.accelerator,
    machineArguments: machineArguments({
      ...acceleration,
      ...image.machine,
      disk: store.disk(first.key),
      kernel: bootFiles.kernel,
      initrd: kit.initrd,
      kernelArguments: buildKernelArguments(rootUuid, buildUnit),
      serialLog: request.serialLog,
      qmpSocket: bench.qmpSocket,
      channelSocket: bench.channelSocket,
      isAsleep: state !== undefined,
    }),
    privateKey: kit.privateKey,
    bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
    stages: resolved,
    isPatient: request.holdsFailures,
    checkpointCommand: request.checkpointCommand,
  })
  await mkdir(join(place.folder, 'stages'), { recursive: true })
  await writeFile(template, text)
  return {
    template,
    acceleration,
    state,
    privateKey: kit.privateKey,
    renewal: kit.renewal,
    keyOfState: stateKey,
  }
}

/** A state that is not what its record says is of no use to anybody. */
async function findSound(states: States, key: string, layer: Layer): Promise<SavedState | undefined> {
  const state = await states.find(key, layer)
  if (state === undefined || (await states.verify(state))) return state
  await states.remove(key)
  return undefined
}
