/** The host checks that must pass before a build touches anything. */

import type { Arch } from '../arch.ts'
import { espOf } from '../disk/layout.ts'
import { requireEspTools } from '../disk/tools.ts'
import { requireFit } from '../doctor/host-checks.ts'
import { requireUefi } from '../guest/uefi.ts'
import { findTools, isAtLeast } from '../host/tools.ts'
import { installerOf } from '../installers/index.ts'
import type { PackerDialect } from '../packer/template.ts'
import type { Plan } from '../plan/plan.ts'
import type { Room } from '../plan/room.ts'
import { requireFitSet } from '../provenance/fit-set.ts'
import type { Locked, LockOptions } from '../provenance/lock.ts'

export interface HostTools {
  /** Versions by name. */
  readonly versions: Readonly<Record<string, string>>
  readonly packer: PackerDialect
}

/** What a run does with a plan, as far as it affects the host checks. */
interface PlanNeeds extends LockOptions {
  readonly locked?: Locked | undefined
  /** Absent: finished images are not booted. */
  readonly verify?: unknown
}

/** The tools found on this host. */
export async function readTools(arch: Arch): Promise<HostTools> {
  const { found } = await findTools({ arch })
  const versions = Object.fromEntries(found.map(({ tool, version }) => [tool.name, version ?? 'unknown']))
  return { versions, packer: isAtLeast(versions.packer ?? '0', '1.7') ? '1.7' : '1.6' }
}

/**
 * Requires that a plan can be carried out: there is enough room, and every package source is verified before anything is
 * downloaded from it. With a package set, no source is contacted: the set only has to fit.
 * @returns warnings
 * @throws PipelineError `no-space`, `tools`, `installer-no-udebs`, or with a code that begins with `mirror-` or `keyring-`
 */
export async function requireFitPlan(
  { image, base, stages }: Plan,
  outDir: string,
  room: Room,
  { packages, locked, verify, signal }: PlanNeeds,
): Promise<readonly string[]> {
  if (espOf(image.disk) !== undefined) await requireEspTools()
  if (verify !== undefined) await requireUefi(image.arch, image.disk)
  const wantsPackages = !base.cached || stages.some((stage) => !stage.cached && stage.stage.network)
  if (packages !== undefined && wantsPackages) await requireFitSet(image, packages, locked, signal)
  if (!base.cached) await installerOf(image).preflight?.(image, signal)
  const usesMirror = packages === undefined && wantsPackages
  const { installer, debianInstaller, ...facts } = image
  const toInstall = base.cached === undefined ? { installer, debianInstaller } : {}
  return requireFit('planned-build', {
    images: usesMirror ? [{ ...facts, ...toInstall }] : [],
    outDir,
    room,
    signal,
  })
}
