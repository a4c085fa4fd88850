/** What a pipeline says of one architecture: its own values, or else everyone's. */

import { type Arch, archs } from '../arch.ts'
import type { PipelineFields } from './pipeline.ts'

/** Fields that may differ between architectures. */
type OwnFields = Pick<PipelineFields, OwnName>

export const ownNames = ['disk', 'kernelPackage', 'targets'] as const

export type OwnName = (typeof ownNames)[number]

/** The fields of one architecture, as far as they are valid. */
export function fieldsOf<Fields extends Partial<OwnFields & Pick<PipelineFields, 'architectures'>>>(
  { architectures, disk, kernelPackage, targets }: Fields,
  arch: Arch,
): Pick<Fields, OwnName> {
  return { disk, kernelPackage, targets, ...definedIn(architectures?.[arch]) } as Pick<Fields, OwnName>
}

/** The path of an architecture's field, as a person wrote it. */
export function pathOf(
  name: OwnName,
  { architectures }: Partial<Pick<PipelineFields, 'architectures'>>,
  arch: Arch,
): readonly PropertyKey[] {
  return architectures?.[arch]?.[name] === undefined ? [name] : ['architectures', arch, name]
}

/** Debian's package of the kernel, unless a pipeline names another one. */
export function kernelOf(kernelPackage: string | undefined, arch: Arch): string {
  return kernelPackage ?? `linux-image-${archs[arch].debianArch}`
}

// --- internal ---

/** Without values that are left out, which would take the place of others. */
function definedIn(own: PipelineFields['architectures'][Arch]): Partial<OwnFields> {
  return Object.fromEntries(Object.entries(own ?? {}).filter(([, value]) => value !== undefined))
}
