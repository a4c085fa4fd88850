/** Checks the archives that images are made from. */

import { constants } from 'node:fs/promises'
import type { ReleaseRequest } from '../../debian/release.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { canAccess } from '../../host/files.ts'
import { probeUdebs, udebAdvice } from '../../installers/debian-installer/udebs.ts'
import { plural } from '../../report/format.ts'
import { type Finding, fault, type HostContext, ok, warning } from '../check.ts'
import { debianKeyring } from '../host-packages.ts'

export async function checkKeyring(path: string): Promise<Finding> {
  const isReadable = await canAccess(path, constants.R_OK)
  if (isReadable) return ok(path)
  const advice =
    path === debianKeyring.path
      ? `npm run setup -- --yes installs ${debianKeyring.package}.`
      : 'put the keyring there, or change mirror.keyring.'
  return fault(`${path} cannot be read`, advice)
}

/** @throws PipelineError with a code that begins with `mirror-` or `keyring-` */
export async function checkArchive(archive: ReleaseRequest, { releaseOf }: HostContext): Promise<Finding> {
  const { date, signers } = await releaseOf(archive)
  const day = date.toISOString().slice(0, 10)
  return ok(`${archive.url}, of ${day}, signed by ${plural(signers.length, 'known key')}`)
}

/**
 * Checks that an archive has the packages that debian-installer itself needs. The installer would notice only minutes later.
 * @param isWanted whether an image is installed with them; if none is, a mirror without them is just as good, and a broken
 * index is only worth a warning
 */
export async function checkUdebs(
  archive: ReleaseRequest,
  isWanted: boolean,
  { releaseOf, signal }: HostContext,
): Promise<Finding | readonly []> {
  const release = await releaseOf(archive).catch((error) => {
    if (isWanted) throw error
    return undefined
  })
  // The check of the archive's packages reports that it cannot be verified.
  if (release === undefined) return []
  try {
    const { hasUdebs, missing, reason } = await probeUdebs(archive, release, { signal })
    const found = `debian-installer ${hasUdebs ? 'can' : 'cannot'} run from ${archive.url}: ${reason}`
    if (!isWanted || hasUdebs) return ok(found)
    return fault(found, udebAdvice, withoutUdebs(archive, found, missing))
  } catch (error) {
    signal?.throwIfAborted()
    if (isWanted || !(error instanceof PipelineError)) throw error
    return warning(error.message, 'only debian-installer needs it, and no image here is installed with it.')
  }
}

// --- internal ---

function withoutUdebs({ url }: ReleaseRequest, message: string, missing: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'installer-no-udebs',
    message,
    hint: udebAdvice,
    exitCode: exitCodes.hostNotFit,
    details: { mirror: url, missing },
  })
}
