/** What a pipeline has to keep so that a management server finds its images. */

import { type Fault, formatFound } from './faults.ts'
import { type Overrides, sourceOf } from './overrides.ts'
import type { PipelineFields } from './pipeline.ts'
import { repositoryFolder } from './release.ts'

/** Every rule that the names and the addresses of images break. */
export function registrationFaults(fields: PipelineFields, overrides: readonly Overrides[]): Fault[] {
  return [...addressFaults(fields, overrides), ...ownerFaults(fields)]
}

/** Mirrors keep the folders of a repository: what is served from another one would not be found there. */
function addressFaults(
  { downloadUrl, repository, release }: PipelineFields,
  overrides: readonly Overrides[],
): Fault[] {
  const folder = repositoryFolder(release)
  if (!repository || downloadUrl === undefined || downloadUrl.endsWith(`/${folder}`)) return []
  return [
    {
      path: 'downloadUrl',
      rule: `must end in /${folder}, the folder of this release in a repository`,
      found: formatFound(downloadUrl),
      source: sourceOf(overrides, ['downloadUrl']),
    },
  ]
}

/** Of each architecture one image is the one that CloudStack finds by itself. That there are not two, file names see to. */
function ownerFaults({ variants, verification }: PipelineFields): Fault[] {
  if (verification.contract === 'none') return []
  const archs = [...new Set(variants.map(({ arch }) => arch))]
  return archs
    .filter((arch) => !variants.some((variant) => variant.arch === arch && variant.label === undefined))
    .map((arch) => ({
      path: 'variants',
      rule: `must have one of ${arch} without a label: CloudStack looks for no other`,
    }))
}
