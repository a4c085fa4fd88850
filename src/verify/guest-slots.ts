/** How many guests run at a time, across all images that are being verified. */

import { availableParallelism, freemem } from 'node:os'
import pLimit, { type LimitFunction } from 'p-limit'
import type { MachineSize, MachineSizes } from '../contract/scenes.ts'
import { guestCpus } from '../qemu/accelerator.ts'
import type { Accelerator } from '../qemu/machine.ts'

/** Runs a job that needs a guest as soon as there is room for one. Such a job must not wait for another. */
export type GuestSlots = LimitFunction

export function guestSlots(accelerator: Accelerator, sizes: MachineSizes): GuestSlots {
  return pLimit(guestsAtATime(accelerator, largest(sizes)))
}

/** The sizes of guests on this host. */
export function sizesOn(accelerator: Accelerator, { routers, ...others }: MachineSizes): MachineSizes {
  const sizeOn = <Size extends MachineSize>(size: Size): Size => ({
    ...size,
    cpus: guestCpus(accelerator, size.cpus),
  })
  return { ...sizeOn(others), routers: sizeOn(routers) }
}

/** Memory of QEMU itself. When emulating, it keeps the code that it has translated. */
const overheadMiB = { kvm: 256, tcg: 1024 } as const
/** An emulated guest keeps a core of the host busy for about two thirds of its time. */
const emulatedPerCore = 1.5

export function guestsAtATime(
  accelerator: Accelerator,
  { cpus, memoryMiB }: MachineSize,
  host = { cores: availableParallelism(), freeMiB: freemem() / 1024 ** 2 },
): number {
  const byCores = accelerator === 'kvm' ? host.cores : Math.floor((host.cores / cpus) * emulatedPerCore)
  const byMemory = Math.floor((host.freeMiB * 0.75) / (memoryMiB + overheadMiB[accelerator]))
  return Math.max(1, Math.min(byCores, byMemory))
}

/** The most CPUs and memory that any guest gets. */
function largest({ cpus, memoryMiB, routers }: MachineSizes): MachineSize {
  return { cpus: Math.max(cpus, routers.cpus), memoryMiB: Math.max(memoryMiB, routers.memoryMiB) }
}
