/** The rules for each variant's values: its own, its architecture's, or the pipeline's. */

import { type Arch, archNames, archs } from '../arch.ts'
import { targetNames, targets } from '../targets/registry.ts'
import type { Surroundings } from '../targets/target.ts'
import { diskFaults } from './disk-rules.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { type Overrides, originOf } from './overrides.ts'
import { type AnyVariant, fieldsOf, isOfItsOwn, type OwnName, ownNames, pathOf } from './own-fields.ts'
import { targetFaults } from './target-rules.ts'
import type { ValidFields } from './valid-fields.ts'

/**
 * Every rule that a variant breaks, listed once even if several variants break it.
 * @param epoch timestamp of the image files
 */
export function variantFaults(
  fields: ValidFields,
  epoch: Surroundings['epoch'],
  overrides: readonly Overrides[],
): Fault[] {
  const variants: readonly AnyVariant[] = fields.variants ?? [{ arch: 'x86_64' }]
  const faults = variants.flatMap((variant, index) => faultsOf(variant, index, fields, epoch, overrides))
  return [...new Map(faults.map((fault) => [`${fault.path}\n${fault.rule}`, fault])).values()]
}

// --- internal ---

function faultsOf(
  variant: AnyVariant,
  index: number,
  fields: ValidFields,
  epoch: Surroundings['epoch'],
  overrides: readonly Overrides[],
): Fault[] {
  const { arch } = variant
  const { disk, kernelPackage, targets: chosen } = fieldsOf(fields, variant)
  const at = (name: OwnName) => pathOf(name, fields, variant, index)
  const surroundings: Surroundings = {
    ...(disk === undefined ? {} : { diskMiB: disk.sizeMiB, partitions: disk.partitions }),
    ...(kernelPackage === undefined ? {} : { kernelPackage }),
    ...(epoch === undefined ? {} : { epoch }),
  }
  const known = chosen?.filter((name) => targets[name].archs.includes(arch))
  const place = (path: readonly PropertyKey[]) => {
    const [name, ...rest] = path
    return ownNames.includes(name as OwnName) ? [...at(name as OwnName), ...rest] : path
  }
  return [
    ...namelessVariant(variant, index, overrides),
    ...(disk === undefined ? [] : diskFaults(disk, { arch, at: at('disk') }, overrides)),
    ...(known === undefined ? [] : targetFaults(known, fields.formats, surroundings, overrides, place)),
    ...foreignTargets(arch, chosen ?? [], at('targets'), overrides),
    ...foreignKernel(arch, kernelPackage, at('kernelPackage'), overrides),
  ]
}

/** Variants that differ in such fields need different names. */
function namelessVariant(variant: AnyVariant, index: number, overrides: readonly Overrides[]): Fault[] {
  if (variant.label !== undefined || !isOfItsOwn(variant)) return []
  const path = ['variants', index, 'label']
  const rule = `must be given for a variant with a ${ownNames.find((name) => variant[name] !== undefined)} of its own`
  return [{ path: formatPath(path), rule, found: formatFound(undefined), ...originOf(overrides, path) }]
}

function foreignTargets(
  arch: Arch,
  chosen: readonly (typeof targetNames)[number][],
  at: readonly PropertyKey[],
  overrides: readonly Overrides[],
): Fault[] {
  const possible = targetNames.filter((name) => targets[name].archs.includes(arch))
  const advice =
    at[0] === 'targets' && arch !== 'x86_64' ? `: give ${arch} its own in architectures.${arch}.targets` : ''
  return chosen.flatMap((name, index) =>
    targets[name].archs.includes(arch)
      ? []
      : {
          path: formatPath([...at, index]),
          rule: `must be one that ${arch} has, which is ${possible.join(' or ')}${advice}`,
          found: formatFound(name),
          ...originOf(overrides, at),
        },
  )
}

/** Debian's kernel package names contain an architecture, e.g. `linux-image-6.12.48+deb13-cloud-arm64`. */
function foreignKernel(
  arch: Arch,
  kernelPackage: string | undefined,
  at: readonly PropertyKey[],
  overrides: readonly Overrides[],
): Fault[] {
  const { debianArch } = archs[arch]
  const others: readonly string[] = archNames
    .filter((name) => name !== arch)
    .map((name) => archs[name].debianArch)
  if (kernelPackage === undefined || !kernelPackage.split('-').some((word) => others.includes(word)))
    return []
  return [
    {
      path: formatPath(at),
      rule: `must be a kernel of ${debianArch} for the variants of ${arch}: leave it out, or set architectures.${arch}.kernelPackage`,
      found: formatFound(kernelPackage),
      ...originOf(overrides, at),
    },
  ]
}
