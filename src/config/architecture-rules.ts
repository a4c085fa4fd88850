/** The rules for what a pipeline says of each architecture that it has variants of. */

import { type Arch, archNames, archs } from '../arch.ts'
import { targetNames, targets } from '../targets/registry.ts'
import type { Surroundings } from '../targets/target.ts'
import { diskFaults } from './disk-rules.ts'
import { type Fault, formatFound, formatPath } from './faults.ts'
import { type Overrides, originOf } from './overrides.ts'
import { fieldsOf, type OwnName, ownNames, pathOf } from './own-fields.ts'
import { targetFaults } from './target-rules.ts'
import type { ValidFields } from './valid-fields.ts'

/** Every rule that is broken on an architecture. @param epoch when the files of images are said to be made */
export function architectureFaults(
  fields: ValidFields,
  epoch: Surroundings['epoch'],
  overrides: readonly Overrides[],
): Fault[] {
  const used = fields.variants?.map(({ arch }) => arch) ?? ['x86_64' as const]
  return [...new Set(used)].flatMap((arch) => faultsOn(arch, fields, epoch, overrides))
}

// --- internal ---

function faultsOn(
  arch: Arch,
  fields: ValidFields,
  epoch: Surroundings['epoch'],
  overrides: readonly Overrides[],
): Fault[] {
  const { disk, kernelPackage, targets: chosen } = fieldsOf(fields, arch)
  const at = (name: OwnName) => pathOf(name, fields, arch)
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
    ...(disk === undefined ? [] : diskFaults(disk, { arch, at: at('disk') }, overrides)),
    ...(known === undefined ? [] : targetFaults(known, fields.formats, surroundings, overrides, place)),
    ...foreignTargets(arch, chosen ?? [], at('targets'), overrides),
    ...foreignKernel(arch, kernelPackage, at('kernelPackage'), overrides),
  ]
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

/** Debian's names of kernels end in an architecture, e.g. `linux-image-6.12.48+deb13-cloud-arm64`. */
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
