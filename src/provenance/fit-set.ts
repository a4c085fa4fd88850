/** Whether an image can be built from a package set, as far as that can be known without trying. */

import type { ResolvedImage } from '../config/resolved.ts'
import { archivesOf } from '../debian/archives.ts'
import { debOf, type PackageSet, unfitSet } from '../debian/package-set.ts'
import { verifyRelease } from '../debian/release.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { installerOf } from '../installers/index.ts'
import type { Locked } from './lock.ts'

/**
 * Requires that a set has the signed archives of an image, and everything that a lock names, with matching checksums.
 * @throws PipelineError `packages-unfit`, `packages-missing`, or why an archive is not trusted
 */
export async function requireFitSet(
  image: ResolvedImage,
  set: PackageSet,
  locked: Locked | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { name, takesPackages = false } = installerOf(image)
  if (!takesPackages)
    throw unfitSet(
      set.folder,
      `the installer of ${image.variant} is ${name}, and only bootstrap installs from one`,
    )
  for (const request of archivesOf(image)) await verifyRelease(request, { signal, source: set.source })
  const held = new Map(set.content.packages.map((one) => [debOf(one), one.sha256]))
  const wanted = Object.entries(locked?.lock.variants[image.variant]?.packages ?? {})
  const other = wanted.flatMap(([name, { version, architecture, sha256 }]) => {
    // Packages that no archive lists come from a stage.
    if (sha256 === null) return []
    const found = held.get(debOf({ name, version, architecture }))
    if (found === sha256) return []
    const has = found === undefined ? 'which is missing' : `where the set has sha256 ${found}`
    return [`  ${name} ${version} (${architecture}), sha256 ${sha256}, ${has}`]
  })
  if (other.length === 0) return
  throw new PipelineError({
    code: 'packages-missing',
    message: [`the package set ${set.folder} lacks packages of the lock ${locked?.path}:`, ...other].join(
      '\n',
    ),
    hint: 'use the set of the release that was built with this lock, or build without --packages.',
    exitCode: exitCodes.badInput,
  })
}
