/** Everything that a guest is booted from for its stages: its kernel, the kit, the disks, and Packer's template. */

import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { sha256File } from '../digest.ts'
import type { Plan, PlannedStage } from '../plan/plan.ts'
import type { Layer, Store } from '../store/store.ts'
import { readBootFiles } from './boot-files.ts'
import { freezeInputs } from './freeze.ts'
import { buildUnit, makeBuildKit } from './kit.ts'
import { type Acceleration, buildKernelArguments, machineArguments } from './machine.ts'
import { type PackerDialect, renderPackerTemplate } from './packer-hcl.ts'
import { type RunPlace, temporaryPrefix } from './place.ts'
import { createOverlays } from './sealer.ts'

/** A short-lived folder of one run: sockets, keys, and what Packer wants to have for itself. */
export interface Workbench {
  readonly folder: string
  readonly qmpSocket: string
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
  readonly packer: PackerDialect
  readonly checkpointCommand: (stage: string) => string
  readonly serialLog: string
}

export interface PreparedGuest {
  /** Path of the rendered template. */
  readonly template: string
  readonly acceleration: Acceleration
}

/** Prepares the guest: after this `packer build` has all it needs. */
export async function prepareGuest(request: GuestRequest, bench: Workbench): Promise<PreparedGuest> {
  const { plan, stages, parent, store, place } = request
  const { image, layout } = plan
  const resolved = await freezeInputs(stages, join(place.folder, 'inputs'), store)
  const bootFiles = await readBootFiles(store.disk(parent.key), layout, join(bench.folder, 'boot'))
  const acceleration = await request.acceleration(bootFiles.kernel)
  const kit = await makeBuildKit(join(bench.folder, 'kit'), bootFiles.initrd, resolved, image.sourceDateEpoch)
  await createOverlays(store, stages, layout.sizeBytes)
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
      disk: store.disk((stages[0] as PlannedStage).key),
      kernel: bootFiles.kernel,
      initrd: kit.initrd,
      kernelArguments: buildKernelArguments(rootUuid, buildUnit),
      serialLog: request.serialLog,
      qmpSocket: bench.qmpSocket,
    }),
    privateKey: kit.privateKey,
    bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
    stages: resolved,
    checkpointCommand: request.checkpointCommand,
  })
  await mkdir(join(place.folder, 'stages'), { recursive: true })
  await writeFile(template, text)
  return { template, acceleration }
}
