/** The values of one variant: its own, or else its architecture's, or else the pipeline's. */

import { type Arch, archs } from '../arch.ts'
import type { PipelineFields } from './pipeline.ts'

/** Fields that can differ between architectures and between variants. */
type OwnFields = Pick<PipelineFields, OwnName>

/** The parts of a variant that this module needs. */
export type AnyVariant = Pick<PipelineFields['variants'][number], 'arch' | 'label' | OwnName>

export const ownNames = ['disk', 'kernelPackage', 'targets'] as const

export type OwnName = (typeof ownNames)[number]

/** The fields of one variant that are valid. */
export function fieldsOf<Fields extends Partial<OwnFields & Pick<PipelineFields, 'architectures'>>>(
  { architectures, disk, kernelPackage, targets }: Fields,
  variant: AnyVariant,
): Pick<Fields, OwnName> {
  const own = { ...definedIn(architectures?.[variant.arch]), ...definedIn(variant) }
  return { disk, kernelPackage, targets, ...own } as Pick<Fields, OwnName>
}

/** The path where a person wrote a variant's field. @param index of the variant */
export function pathOf(
  name: OwnName,
  { architectures }: Partial<Pick<PipelineFields, 'architectures'>>,
  variant: AnyVariant,
  index: number,
): readonly PropertyKey[] {
  if (variant[name] !== undefined) return ['variants', index, name]
  return architectures?.[variant.arch]?.[name] === undefined ? [name] : ['architectures', variant.arch, name]
}

/** Whether a variant has fields of its own, and so differs from others of its suite and architecture. */
export function isOfItsOwn(variant: AnyVariant): boolean {
  return ownNames.some((name) => variant[name] !== undefined)
}

/** The pipeline's kernel package, or else Debian's default for the architecture. */
export function kernelOf(kernelPackage: string | undefined, arch: Arch): string {
  return kernelPackage ?? `linux-image-${archs[arch].debianArch}`
}

// --- internal ---

/** Drops undefined values, which would override others. */
function definedIn(
  own: {
    readonly [Name in OwnName]?: OwnFields[Name] | undefined
  } = {},
): Partial<OwnFields> {
  return Object.fromEntries(ownNames.flatMap((name) => (own[name] === undefined ? [] : [[name, own[name]]])))
}
