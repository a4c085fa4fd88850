/** Compares SBOMs with the images that they describe, and with the inputs of the images in the statement. */

import { join } from 'node:path'
import { type Arch, archs } from '../arch.ts'
import { isOfHost } from '../errors.ts'
import { NotReadable, readRegularText } from '../host/regular-file.ts'
import { parseJson } from '../text.ts'
import { chooseReadable, readImagePackages } from './read-image.ts'
import { type Blame, type ReleaseRecord, releaseFiles } from './record.ts'
import { faultOfSbom, mostSbomBytes, purlOf, readSbom, type SbomPackage } from './sbom.ts'
import { readSpdx } from './spdx.ts'
import type { Statement } from './statement.ts'

/**
 * Requires that an SBOM is CycloneDX, and that it and the record list exactly the packages in the image's dpkg.
 * @returns the packages in the SBOM; undefined if it is missing or broken
 */
export async function compareSbom(
  folder: string,
  { sbom, spdx, files, suite, arch, packages }: ReleaseRecord['variants'][number],
  blame: Blame,
  signal: AbortSignal,
): Promise<readonly SbomPackage[] | undefined> {
  const text = await readRegularText(join(folder, sbom), mostSbomBytes).catch((error: Error) => {
    blame(sbom, error instanceof NotReadable ? error.message : 'it is missing')
  })
  if (text === undefined) return undefined
  const fault = await faultOfSbom(text).catch((error: Error) => error.message)
  if (fault !== undefined) {
    blame(sbom, `it is not CycloneDX: ${fault.slice(0, 200)}`)
    return undefined
  }
  const bill = readSbom(text)
  if (spdx !== undefined) await compareSpdx(folder, spdx, sbom, bill, blame)
  const readable = chooseReadable(files)
  if (readable === undefined) return bill
  const installed = await readImagePackages(join(folder, readable.file), signal).catch((error: Error) => {
    if (isOfHost(error)) throw error
    blame(readable.file, error.message.split('\n')[0] ?? 'it cannot be read')
    return undefined
  })
  if (installed === undefined) return bill
  const listed = new Set(bill.map(({ purl }) => purl))
  const there = new Set(installed.map((one) => purlOf(one, suite)))
  const difference =
    [...there].find((purl) => !listed.has(purl)) ?? [...listed].find((purl) => !there.has(purl))
  if (difference !== undefined)
    blame(sbom, `it does not list what dpkg has in ${readable.file}: ${difference} is in only one of them`)
  const isSame = installed.length === Object.keys(packages).length
  if (
    !isSame ||
    installed.some(({ name, version }) => !Object.hasOwn(packages, name) || packages[name] !== version)
  )
    blame(releaseFiles.record, `it does not list what dpkg has in ${readable.file}`)
  const own = Object.hasOwn(archs, arch) ? archs[arch as Arch].debianArch : undefined
  const odd = installed.find(
    ({ name, architecture }) => !name.includes(':') && architecture !== 'all' && architecture !== own,
  )
  if (odd !== undefined)
    blame(releaseFiles.record, `it says ${arch}, and ${readable.file} has ${odd.name} of ${odd.architecture}`)
  return bill
}

/** Requires that an SPDX document lists the same packages as the CycloneDX one. */
async function compareSpdx(
  folder: string,
  spdx: string,
  sbom: string,
  bill: readonly SbomPackage[],
  blame: Blame,
): Promise<void> {
  try {
    const listed = readSpdx(parseJson(await readRegularText(join(folder, spdx), mostSbomBytes)))
    if (listed === undefined) return blame(spdx, 'it is not SPDX 2.3 as it is written here')
    const textsOf = (packages: readonly SbomPackage[]) =>
      packages
        .map(({ name, version, purl, sha256 }) => JSON.stringify([name, version, purl, sha256 ?? null]))
        .sort()
    const [here, there] = [textsOf(listed), textsOf(bill)]
    const length = Math.max(here.length, there.length)
    const at = Array.from({ length }, (_, index) => index).find((index) => here[index] !== there[index])
    if (at !== undefined)
      blame(spdx, `it does not list what ${sbom} does: ${shown(here[at])}, there ${shown(there[at])}`)
  } catch (error) {
    blame(spdx, error instanceof NotReadable ? error.message : 'it cannot be read')
  }
}

/** Names in an untrusted document can have any length. */
function shown(text = 'nothing'): string {
  return text.slice(0, 200)
}

/**
 * Requires that SBOMs and statement name the same packages, with the same digests of their .deb files. Variants whose inputs
 * are unknown, according to the record, have none in the statement.
 * @param bills packages of each SBOM, by file name
 */
export function compareDependencies(
  bills: ReadonlyMap<string, readonly SbomPackage[]>,
  record: ReleaseRecord,
  statement: Statement,
  blame: Blame,
): void {
  const resolved = new Map<string, string | undefined>()
  for (const { uri, digest } of statement.predicate.buildDefinition.resolvedDependencies) {
    if (uri?.startsWith('pkg:deb/') !== true) continue
    if (resolved.has(uri) && resolved.get(uri) !== digest?.sha256)
      blame(releaseFiles.statement, `it has ${uri} twice, with different digests`)
    resolved.set(uri, digest?.sha256)
  }
  const billed = new Set<string>()
  for (const { variant, sbom } of record.variants) {
    const bill = bills.get(sbom)
    // If it is missing or broken, that has been reported already.
    if (bill === undefined) return
    const isUnrecorded = record.exceptions.some(
      (one) => one.kind === 'unrecorded' && one.text.startsWith(`${variant}:`),
    )
    for (const { purl, sha256 } of bill) {
      billed.add(purl)
      if (!resolved.has(purl) && isUnrecorded) continue
      if (!resolved.has(purl)) blame(sbom, `${purl} is not in ${releaseFiles.statement}`)
      else if (resolved.get(purl) !== sha256)
        blame(sbom, `the digest of ${purl} is not the one in ${releaseFiles.statement}`)
    }
  }
  const unbilled = [...resolved.keys()].find((purl) => !billed.has(purl))
  if (unbilled !== undefined) blame(releaseFiles.statement, `${unbilled} is in no bill of materials`)
}
