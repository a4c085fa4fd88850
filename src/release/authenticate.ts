/**
 * Who released these files. Everything else in a release vouches only for itself: whoever changes a file can also change all
 * records of it. A signature uses a key that the reader already trusts.
 */

import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { noSignature, requireReadable, type SignatureVerdict } from '../host/signature.ts'
import { verifySsh } from '../host/ssh-signature.ts'
import { type AttestationTrust, verifyAttestation } from './attestation.ts'
import { verifyOpenPgp } from './openpgp-signature.ts'
import { openReads } from './reads.ts'
import { releaseFiles } from './record.ts'
import { releaseNamespace } from './sign.ts'

/** Keys that the reader trusts, by the paths of their files. */
export interface Trust {
  /** SSH keys, in OpenSSH's format of allowed signers. */
  readonly signers?: string | undefined
  /** SSH keys that are no longer trusted. */
  readonly revoked?: string | undefined
  /** OpenPGP keys. */
  readonly keyring?: string | undefined
  /** A workflow of GitHub Actions. */
  readonly attestation?: AttestationTrust | undefined
}

export interface Authentication {
  /** Who signed, for each key that was required. Empty if none was required, or if none is good. */
  readonly signedBy: readonly string[]
  readonly faults: readonly { readonly file: string; readonly fault: string }[]
}

/**
 * Requires a good signature of each kind for which keys are given.
 * @param tag tag named by the release, as `verifyAttestation` takes it
 * @throws PipelineError `trust-unreadable`, `tools`
 */
export async function authenticate(
  folder: string,
  trust: Trust,
  tag?: string | null,
  signal?: AbortSignal,
  { read } = openReads(folder),
): Promise<Authentication> {
  const { signers, revoked, keyring, attestation } = trust
  await requireReadable([signers, revoked, keyring, attestation?.trustedRoot])
  const signed = await read(releaseFiles.signed).catch(() => Buffer.alloc(0))
  const { ssh, openpgp } = releaseFiles.signatures
  const verdicts = new Map<string, SignatureVerdict>()
  if (signers !== undefined)
    verdicts.set(
      ssh,
      await judge(folder, ssh, (signature) =>
        verifySsh({ content: signed, signature, namespace: releaseNamespace }, { signers, revoked }, signal),
      ),
    )
  if (keyring !== undefined)
    verdicts.set(openpgp, await judge(folder, openpgp, (path) => verifyOpenPgp(signed, path, keyring)))
  if (attestation !== undefined)
    verdicts.set(
      releaseFiles.attestation,
      await judge(folder, releaseFiles.attestation, async () =>
        verifyAttestation(await read(releaseFiles.attestation), attestation, tag),
      ),
    )
  return {
    signedBy: [...verdicts.values()].flatMap((verdict) => verdict.signers),
    faults: [...verdicts].flatMap(([file, { fault }]) => (fault === undefined ? [] : [{ file, fault }])),
  }
}

// --- internal ---

async function judge(
  folder: string,
  name: string,
  verify: (path: string) => Promise<SignatureVerdict>,
): Promise<SignatureVerdict> {
  const path = join(folder, name)
  const found = await lstat(path).catch(() => undefined)
  return found?.isFile() ? verify(path) : noSignature('it is missing')
}
