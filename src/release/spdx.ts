/** The packages of an image as an SPDX 2.3 document, with the same content as the CycloneDX SBOM. */

import { z } from 'zod'
import type { Package } from '../debian/dpkg-status.ts'
import { referencesIn, validExpression, withoutPrefix } from '../debian/license-names.ts'
import { uuidFrom } from '../digest.ts'
import type { InputPackage } from '../provenance/inputs.ts'
import { purlOf, type SbomPackage, type SbomSubject } from './sbom.ts'

/** The text of the document: the same for the same image on any machine. Takes the arguments of `renderSbom`. */
export function renderSpdx(
  subject: SbomSubject,
  packages: readonly Package[],
  inputs: readonly InputPackage[],
): string {
  const { fileName, files, sourceDateEpoch, suite } = subject
  const known = new Map(inputs.map((input) => [`${input.name} ${input.version}`, input]))
  const described = packages.map((one, index) =>
    describePackage(one, index, known.get(`${one.name} ${one.version}`), suite),
  )
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: documentId,
    name: fileName,
    // The URL leads nowhere: the format requires a name that no other document has.
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(fileName)}-${uuidFrom(`spdx ${files.map(({ sha256 }) => sha256).join()}`)}`,
    creationInfo: {
      created: new Date(sourceDateEpoch * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
      creators: ['Tool: systemvm-image'],
    },
    packages: [describeImage(subject), ...described],
    relationships: [
      { spdxElementId: documentId, relationshipType: 'DESCRIBES', relatedSpdxElement: imageId },
      ...described.map(({ SPDXID }) => ({
        spdxElementId: imageId,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: SPDXID,
      })),
    ],
    hasExtractedLicensingInfos: describeReferences(described),
  }
  return `${JSON.stringify(document, null, 1)}\n`
}

const word = z.string().max(2000)

/** The parts of a document that `release verify` reads; the rest is for other programs. */
const documentSchema = z.object({
  spdxVersion: z.literal('SPDX-2.3'),
  packages: z
    .array(
      z.object({
        SPDXID: word,
        name: word,
        versionInfo: word,
        checksums: z
          .array(z.object({ algorithm: word, checksumValue: word }))
          .max(20)
          .optional(),
        externalRefs: z
          .array(z.object({ referenceType: word, referenceLocator: word }))
          .max(20)
          .optional(),
      }),
    )
    .max(20_000),
})

/** The packages in a document; undefined if it is not in the form written here. */
export function readSpdx(value: unknown): readonly SbomPackage[] | undefined {
  const document = documentSchema.safeParse(value).data
  return document?.packages
    .filter(({ SPDXID }) => SPDXID !== imageId)
    .map(({ name, versionInfo, checksums = [], externalRefs = [] }) => ({
      name,
      version: versionInfo,
      purl: externalRefs.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator ?? '',
      sha256: checksums.find(({ algorithm }) => algorithm === 'SHA256')?.checksumValue,
    }))
}

// --- internal ---

const documentId = 'SPDXRef-DOCUMENT'
const imageId = 'SPDXRef-image'

/** For facts that this program has not looked for. */
const unsaid = 'NOASSERTION'

function describeImage({ fileName, release, debianVersion, files }: SbomSubject) {
  return {
    SPDXID: imageId,
    name: fileName,
    versionInfo: release,
    primaryPackagePurpose: 'OPERATING_SYSTEM',
    summary: `Debian ${debianVersion}, as a disk image`,
    comment: files.map(({ file, sha256 }) => `${file}: sha256 ${sha256}`).join('\n'),
    downloadLocation: unsaid,
    filesAnalyzed: false,
    licenseConcluded: unsaid,
    licenseDeclared: unsaid,
    copyrightText: unsaid,
  }
}

function describePackage(one: Package, index: number, input: InputPackage | undefined, suite: string) {
  const { name, version, source } = one
  const licenses = (input?.licenses ?? []).map(validExpression)
  return {
    // Names contain characters that an identifier must not have, and replacing those could make two of them equal.
    SPDXID: `SPDXRef-package-${index + 1}-${name.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`,
    name,
    versionInfo: version,
    sourceInfo: `built from ${source.name} ${source.version}`,
    downloadLocation: unsaid,
    filesAnalyzed: false,
    ...(input?.sha256 == null ? {} : { checksums: [{ algorithm: 'SHA256', checksumValue: input.sha256 }] }),
    licenseConcluded: unsaid,
    licenseDeclared: licenses.length === 0 ? unsaid : licenses.map(grouped).join(' AND '),
    copyrightText: unsaid,
    externalRefs: [
      {
        referenceCategory: 'PACKAGE-MANAGER',
        referenceType: 'purl',
        referenceLocator: purlOf(one, suite),
      },
    ],
  }
}

/** `AND` binds more tightly than `OR`. */
function grouped(expression: string, _index: number, all: readonly string[]): string {
  return all.length > 1 && expression.includes(' OR ') ? `(${expression})` : expression
}

/** Every license that is not on SPDX's list, with the location of its text. */
function describeReferences(
  packages: readonly { readonly name: string; readonly licenseDeclared: string }[],
) {
  const users = new Map<string, Set<string>>()
  for (const { name, licenseDeclared } of packages) {
    for (const reference of referencesIn(licenseDeclared))
      users.set(reference, (users.get(reference) ?? new Set()).add(name))
  }
  return [...users]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([licenseId, names]) => ({
      licenseId,
      name: withoutPrefix(licenseId),
      extractedText: `See /usr/share/doc/PACKAGE/copyright in the .deb of each of these packages; under this name they may have different texts: ${[...names].join(', ')}`,
    }))
}
