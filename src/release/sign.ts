/** Signs a release, with each kind of key that was given. */

import { signWithOpenPgp } from './openpgp-signature.ts'
import { signWithSsh } from './ssh-signature.ts'

export interface SigningKeys {
  /** Path of an SSH key: private, or public if an agent holds the private one. */
  readonly ssh?: string | undefined
  /** Fingerprint or user ID of a secret key in gpg's keyring. */
  readonly openpgp?: string | undefined
}

/** Writes detached signatures beside the file. @throws PipelineError `signing-failed`, `tools` */
export async function sign(file: string, { ssh, openpgp }: SigningKeys): Promise<void> {
  if (ssh !== undefined) await signWithSsh(file, ssh)
  if (openpgp !== undefined) await signWithOpenPgp(file, openpgp)
}
