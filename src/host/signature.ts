/** What both kinds of signature have in common. */

import { exitCodes, PipelineError } from '../errors.ts'
import { reasonOf } from './failures.ts'
import { readRegular } from './regular-file.ts'

/** What one signature proves. */
export interface SignatureVerdict {
  /** Who made it, each with the key's fingerprint. Empty if the signature is not good. */
  readonly signers: readonly string[]
  /** Why it is not good; undefined if it is. */
  readonly fault: string | undefined
}

export const noSignature = (fault: string): SignatureVerdict => ({ signers: [], fault })

export function programMissing(program: string, packageName: string): PipelineError {
  return new PipelineError({
    code: 'tools',
    message: `this host has no ${program}, which signatures need`,
    hint: `install it with: apt-get install ${packageName}`,
    exitCode: exitCodes.hostNotFit,
  })
}

export function signingFailed(key: string, said: string): PipelineError {
  return new PipelineError({
    code: 'signing-failed',
    message: `cannot sign with ${key}: ${said.trim().split('\n').at(-1) || 'no reason was given'}`,
    hint: 'nothing was signed. An SSH key is a file; an OpenPGP key is one that gpg --list-secret-keys shows.',
    exitCode: exitCodes.badInput,
  })
}

/**
 * Requires that key files exist: otherwise a misspelled path would look like a forgery.
 * @throws PipelineError `trust-unreadable`
 */
export async function requireReadable(paths: readonly (string | undefined)[]): Promise<void> {
  for (const path of paths) {
    if (path === undefined) continue
    await readRegular(path).catch((cause: unknown) => {
      throw new PipelineError({
        code: 'trust-unreadable',
        message: `cannot read the keys in ${path}: ${reasonOf(cause)}`,
        hint: '--sign, --signers and --revoked name files of SSH keys, --keyring one of OpenPGP keys, --trusted-root one of certificates.',
        exitCode: exitCodes.badInput,
        cause,
      })
    })
  }
}
