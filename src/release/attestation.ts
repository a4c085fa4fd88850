/**
 * GitHub's attestation of a release, in the bundle that `make-release.yml` leaves next to the files: which files a workflow
 * made. GitHub makes it outside the build, with a certificate for that workflow.
 */

import { bundleFromJSON, isBundleWithDsseEnvelope } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'
import { z } from 'zod'
import { messageOf } from '../errors.ts'
import type { Checksums } from '../export/checksums.ts'
import { readRegularText } from '../host/regular-file.ts'
import { noSignature, type SignatureVerdict } from '../host/signature.ts'
import { openReads } from './reads.ts'
import { type Blame, releaseFiles } from './record.ts'

/** Whose attestation is trusted. */
export interface AttestationTrust {
  /** Path of the output of `gh attestation trusted-root`: one Sigstore trusted root per line. */
  readonly trustedRoot: string
  /** The workflow, as `https://github.com/OWNER/REPOSITORY/.github/workflows/make-release.yml`, of any tag. */
  readonly workflow: string
}

const issuer = 'https://token.actions.githubusercontent.com'

const name = releaseFiles.attestation

/** Requires that the attestation covers exactly these files, but not that GitHub made it. */
export async function compareAttestation(
  folder: string,
  checksums: ReadonlyMap<string, Pick<Checksums, 'sha256'>>,
  blame: Blame,
  { read } = openReads(folder),
): Promise<void> {
  if (!checksums.has(name)) return
  const subjects = await read(name)
    .then(readSubjects)
    .catch(() => undefined)
  if (subjects === undefined) return blame(name, 'it cannot be read')
  for (const [file, { sha256 }] of checksums)
    if (!madeLater.includes(file) && subjects.get(file) !== sha256) blame(name, `it is not for this ${file}`)
  for (const file of subjects.keys())
    if (!checksums.has(file)) blame(name, `it is also for ${file}, which is missing`)
}

/**
 * Requires that GitHub made the attestation, for a run of that workflow on the release's tag. Needs no network.
 * @param tag null if the release names none, undefined if that is unknown: then any will do
 */
export async function verifyAttestation(
  bundle: Buffer,
  trust: AttestationTrust,
  tag: string | null | undefined,
): Promise<SignatureVerdict> {
  const text = bundle.toString()
  const roots = (await readRegularText(trust.trustedRoot)).split('\n').filter((line) => line.trim() !== '')
  const faults: string[] = []
  for (const root of roots) {
    try {
      return judge(verify(text, root), trust.workflow, tag)
    } catch (error) {
      faults.push(messageOf(error))
    }
  }
  return noSignature(`it is not valid: ${[...new Set(faults)].join('; ') || `${trust.trustedRoot} is empty`}`)
}

// --- internal ---

/** The attestation, and the signatures that maintainers add, are made later and cannot be in it. */
const madeLater: readonly string[] = [name, ...Object.values(releaseFiles.signatures)]

const statementSchema = z.looseObject({
  _type: z.literal('https://in-toto.io/Statement/v1'),
  predicateType: z.literal('https://slsa.dev/provenance/v1'),
  subject: z.array(z.looseObject({ name: z.string(), digest: z.looseObject({ sha256: z.string() }) })),
})

/** Digests by file name. */
function readSubjects(bytes: Buffer): ReadonlyMap<string, string> {
  const bundle = bundleFromJSON(JSON.parse(bytes.toString()))
  if (!isBundleWithDsseEnvelope(bundle)) throw new Error('it has no statement')
  const { payload } = bundle.content.dsseEnvelope
  const { subject } = statementSchema.parse(JSON.parse(payload.toString()))
  return new Map(subject.map((one) => [one.name, one.digest.sha256]))
}

interface Identity {
  readonly subjectAlternativeName?: string | undefined
  readonly extensions?: { readonly issuer?: string | undefined } | undefined
}

/**
 * Sigstore's public instance proves the time by its log; GitHub's instance for private repositories has no log, and uses a
 * timestamp authority.
 */
function verify(bundle: string, root: string): Identity {
  const trusted = TrustedRoot.fromJSON(JSON.parse(root))
  const hasLog = trusted.tlogs.length > 0
  const thresholds = {
    tlogThreshold: hasLog ? 1 : 0,
    ctlogThreshold: hasLog ? 1 : 0,
    tsaThreshold: hasLog ? 0 : 1,
  }
  const entity = toSignedEntity(bundleFromJSON(JSON.parse(bundle)))
  return new Verifier(toTrustMaterial(trusted), thresholds).verify(entity).identity ?? {}
}

/** Compares for equality, because the library would interpret the name as a regular expression. */
function judge(
  { subjectAlternativeName: found = '', extensions }: Identity,
  workflow: string,
  tag: string | null | undefined,
): SignatureVerdict {
  if (extensions?.issuer !== issuer) return noSignature(`it is from ${extensions?.issuer}, not from GitHub`)
  const prefix = `${workflow}@refs/tags/`
  if (!found.startsWith(prefix)) return noSignature(`it is from ${found}`)
  const attested = found.slice(prefix.length)
  if (tag !== undefined && tag !== attested)
    return noSignature(`it is for the tag ${attested}; the release says ${tag ?? 'none'}`)
  return { signers: [`${found} (GitHub attestation)`], fault: undefined }
}
