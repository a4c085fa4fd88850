/** Rules that let a management server find a pipeline's images. */

import { type Fault, formatFound } from './faults.ts'
import { type Overrides, originOf } from './overrides.ts'
import { repositoryFolder } from './release.ts'
import type { ValidFields } from './valid-fields.ts'

/** Every rule that the file names and URLs of images break. */
export function registrationFaults(fields: ValidFields, overrides: readonly Overrides[]): Fault[] {
  return [...addressFaults(fields, overrides), ...ownerFaults(fields)]
}

/** Mirrors keep the folders of a repository, so files served from any other folder would not be found there. */
function addressFaults(
  { downloadUrl, repository, release }: ValidFields,
  overrides: readonly Overrides[],
): Fault[] {
  if (!repository || downloadUrl === undefined || release === undefined) return []
  const folder = repositoryFolder(release)
  if (downloadUrl.endsWith(`/${folder}`)) return []
  return [
    {
      path: 'downloadUrl',
      rule: `must end in /${folder}, the folder of this release in a repository`,
      found: formatFound(downloadUrl),
      ...originOf(overrides, ['downloadUrl']),
    },
  ]
}

/** CloudStack itself finds one image per architecture. Unique file names ensure that there are not two. */
function ownerFaults({ variants, verification }: ValidFields): Fault[] {
  if (variants === undefined || verification === undefined || verification.contract === 'none') return []
  const archs = [...new Set(variants.map(({ arch }) => arch))]
  return archs
    .filter((arch) => !variants.some((variant) => variant.arch === arch && variant.label === undefined))
    .map((arch) => ({
      path: 'variants',
      rule: `must have one for ${arch} without a label, the only one that CloudStack looks for`,
    }))
}
