/** Signs a release with each kind of key that was given. */

import { readFile } from 'node:fs/promises'
import { signWithSsh } from '../host/ssh-signature.ts'
import { writeFile } from '../host/writing.ts'
import { signWithOpenPgp } from './openpgp-signature.ts'

/** Namespace for SSH signatures of a release. */
export const releaseNamespace = 'systemvm-image-release'

export interface SigningKeys {
  /** Path of an SSH key: private, or public if an agent holds the private one. */
  readonly ssh?: string | undefined
  /** Fingerprint or user ID of a secret key in gpg's keyring. */
  readonly openpgp?: string | undefined
}

/** Writes detached signatures next to the file. @throws PipelineError `signing-failed`, `tools` */
export async function sign(file: string, { ssh, openpgp }: SigningKeys): Promise<void> {
  if (ssh !== undefined)
    await writeFile(`${file}.sig`, await signWithSsh(await readFile(file), releaseNamespace, ssh))
  if (openpgp !== undefined) await signWithOpenPgp(file, openpgp)
}
