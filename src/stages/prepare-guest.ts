/** What a guest needs before Packer starts it: copied stages, boot files, the agent, overlays, the template. */

import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { readBootFiles } from '../disk/boot-files.ts'
import { rootUuidOf } from '../disk/layout.ts'
import { createDisk } from '../disk/qemu-img.ts'
import { makeFolder } from '../host/files.ts'
import { readRegular } from '../host/regular-file.ts'
import type { RunFolder } from '../host/run-folder.ts'
import type { ScratchFolder } from '../host/scratch-folder.ts'
import { writeFile } from '../host/writing.ts'
import { type PackerDialect, renderPackerTemplate } from '../packer/template.ts'
import type { Plan, PlannedStage } from '../plan/plan.ts'
import { qemuArguments } from '../qemu/arguments.ts'
import type { Acceleration } from '../qemu/machine.ts'
import type { Layer } from '../store/layer-record.ts'
import type { SavedState, States } from '../store/states.ts'
import type { Store } from '../store/store.ts'
import { buildUnit, type GuestPackages, makeBuildAgent } from './agent.ts'
import { buildKernelArguments, buildMachine } from './build-machine.ts'
import { copyInputs } from './copy-inputs.ts'
import { createOverlays } from './sealer.ts'
import { keyOfState } from './state-key.ts'

export interface GuestRequest {
  readonly plan: Plan
  readonly stages: readonly PlannedStage[]
  /** The layer that the first stage starts from. */
  readonly parent: Layer
  readonly store: Store
  readonly runFolder: RunFolder
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly states: States
  /** Whether the guest may resume from a saved state. */
  readonly mayResume: boolean
  readonly qemuVersion: string
  /** Whether a person decides what happens after a failed stage. */
  readonly holdsFailures: boolean
  /** Where apt in the guest gets packages, instead of the image's mirror. */
  readonly packages?: GuestPackages | undefined
  readonly packer: PackerDialect
  readonly checkpointCommand: (stage: string) => string
  readonly serialLog: string
  readonly signal: AbortSignal
}

export interface PreparedGuest {
  /** Path of the rendered template. */
  readonly template: string
  readonly acceleration: Acceleration
  /** The state that the guest resumes from; undefined if it boots. */
  readonly state: SavedState | undefined
  /** Root's SSH key for the guest. */
  readonly privateKey: string
  /** The parts of this run's agent that a resumed guest lacks. */
  readonly renewal: Uint8Array
  /** The first word of the lines in which `stage.sh` reports. */
  readonly stageMark: string
  /** Key of this machine's saved state on a layer. */
  readonly keyOfState: (layer: string) => Promise<string>
}

/** Makes the files that `packer build` needs. */
export async function prepareGuest(request: GuestRequest, scratch: ScratchFolder): Promise<PreparedGuest> {
  const { plan, stages, parent, store, runFolder } = request
  const { image, layout } = plan
  const resolved = await copyInputs(stages, join(runFolder.path, 'inputs'), store, request.signal)
  const bootFiles = await readBootFiles(store.disk(parent.key), layout, join(scratch.folder, 'boot'))
  const acceleration = await request.acceleration(bootFiles.kernel)
  const agent = await makeBuildAgent(
    join(scratch.folder, 'agent'),
    bootFiles.initrd,
    resolved,
    image.sourceDateEpoch,
    { holdsFailures: request.holdsFailures, packages: request.packages },
  )
  const [first] = stages as readonly [PlannedStage]
  const machine = { ...acceleration, ...image.machine, qemuVersion: request.qemuVersion }
  const stateKey = (layer: string) => keyOfState(machine, layer)
  const state = request.mayResume
    ? await findSound(request.states, await stateKey(parent.key), parent)
    : undefined
  await createOverlays(store, stages, layout.sizeBytes)
  if (state !== undefined) await request.states.use(state, store.disk(first.key))
  const dummyDisk = join(scratch.folder, 'dummy.qcow2')
  await createDisk(dummyDisk, 1024 ** 2)
  const template = join(runFolder.path, 'build.pkr.hcl')
  const text = renderPackerTemplate({
    variant: image.variant,
    dialect: request.packer,
    dummyDisk,
    dummyDigest: `sha256:${sha256(await readRegular(dummyDisk))}`,
    outputFolder: join(scratch.folder, 'output'),
    machineName: image.name,
    arch: image.arch,
    accelerator: acceleration.accelerator,
    machineArguments: qemuArguments(
      buildMachine({
        ...acceleration,
        ...image.machine,
        disk: store.disk(first.key),
        kernel: bootFiles.kernel,
        initrd: agent.initrd,
        kernelArguments: buildKernelArguments(image.arch, rootUuidOf(layout), buildUnit),
        serialLog: request.serialLog,
        qmpSocket: scratch.qmpSocket,
        channelSocket: scratch.channelSocket,
        awaitsState: state !== undefined,
        isOpen: request.holdsFailures || stages.some(({ stage }) => stage.network),
      }),
    ),
    privateKey: agent.privateKey,
    bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
    stages: resolved,
    isPatient: request.holdsFailures,
    checkpointCommand: request.checkpointCommand,
  })
  await makeFolder(join(runFolder.path, 'stages'))
  await writeFile(template, text)
  return {
    template,
    acceleration,
    state,
    privateKey: agent.privateKey,
    renewal: agent.renewal,
    stageMark: agent.stageMark,
    keyOfState: stateKey,
  }
}

/** Finds a state, and removes it if it does not match its record. */
async function findSound(states: States, key: string, layer: Layer): Promise<SavedState | undefined> {
  const state = await states.find(key, layer)
  if (state === undefined || (await states.verify(state))) return state
  await states.remove(key)
  return undefined
}
