/** Whether the mirrors of images can be built from. */

import { archivesOf, udebArchiveOf, uniqueArchives } from '../debian/archives.ts'
import { type ReleaseRequest, type VerifiedRelease, verifyRelease } from '../debian/release.ts'
import { PipelineError } from '../errors.ts'
import { needsUdebs, probeUdebs, udebAdvice } from '../installers/debian-installer/udebs.ts'
import { type DoctorCheck, type DoctorInput, type Finding, fault, ok, plural } from './finding.ts'

/** Every archive that an image is made from, once. */
export function mirrorRequests(images: DoctorInput['images']): readonly ReleaseRequest[] {
  return uniqueArchives(images.flatMap(archivesOf))
}

/** Whether a mirror's archive is proved, and has udebs where they may come from it. */
export async function checkMirror(
  request: ReleaseRequest,
  input: DoctorInput,
): Promise<readonly DoctorCheck[]> {
  const { signal } = input
  const verified = await verifyRelease(request, { signal })
  const found = `${request.url}, of ${verified.date.toISOString().slice(0, 10)}, signed by ${plural(verified.signers.length, 'known key')}`
  const mirror: DoctorCheck = { id: `mirror:${request.suite}`, title: request.suite, ...ok(found) }
  if (!input.images.some((image) => isSame(udebArchiveOf(image), request))) return [mirror]
  const udebs = await findUdebs(request, verified, input)
  return [mirror, { id: `udebs:${request.suite}`, title: 'udebs', ...udebs }]
}

/** Images whose udebs come from another place than their packages. */
export function ownUdebs(images: DoctorInput['images']): DoctorInput['images'] {
  const requests = mirrorRequests(images)
  const own = images.filter((image) => !requests.some((request) => isSame(udebArchiveOf(image), request)))
  return [...new Map(own.map((image) => [JSON.stringify(udebArchiveOf(image)), image])).values()]
}

function isSame(one: ReleaseRequest, other: ReleaseRequest): boolean {
  return one.url === other.url && one.suite === other.suite && one.keyring === other.keyring
}

/** A mirror without udebs is only in the way of who wants them. */
export async function findUdebs(
  request: ReleaseRequest,
  verified: VerifiedRelease,
  { images, signal }: DoctorInput,
): Promise<Finding> {
  const isWanted = images.some((image) => isSame(udebArchiveOf(image), request) && wantsUdebs(image))
  const { hasUdebs, reason } = await probeUdebs(request, verified, { signal }).catch((error: unknown) => {
    if (isWanted || !(error instanceof PipelineError)) throw error
    return { hasUdebs: false, reason: error.message }
  })
  const found = `debian-installer ${hasUdebs ? 'can' : 'cannot'} run from ${request.url}: ${reason}`
  return isWanted && !hasUdebs ? fault(found, udebAdvice) : ok(found)
}

function wantsUdebs({ installer, debianInstaller }: DoctorInput['images'][number]): boolean {
  return (
    installer !== undefined && debianInstaller !== undefined && needsUdebs({ installer, debianInstaller })
  )
}
