/** Detached OpenPGP signatures, as the Apache Software Foundation requires: made by gpg, verified by gpgv. */

import { join } from 'node:path'
import { runGpgv } from '../debian/gpgv.ts'
import { execa } from '../host/execa.ts'
import { NotReadable, readRegular } from '../host/regular-file.ts'
import { noSignature, programMissing, type SignatureVerdict, signingFailed } from '../host/signature.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { writeFile } from '../host/writing.ts'
import { dearmor, isOnlySignatures } from './openpgp-packets.ts'

/**
 * Writes `<file>.asc`. gpg's agent asks for a passphrase.
 * @param key fingerprint or user ID of a secret key in gpg's keyring
 * @throws PipelineError `signing-failed`, `tools`
 */
export async function signWithOpenPgp(file: string, key: string): Promise<void> {
  const words = ['--batch', '--armor', '--local-user', key, '--output', `${file}.asc`, '--detach-sign', file]
  const { exitCode, code, stderr } = await execa('gpg', words, { reject: false, stdin: 'inherit' })
  if (code === 'ENOENT') throw programMissing('gpg', 'gpg')
  if (exitCode !== 0) throw signingFailed(`the OpenPGP key ${key}`, stderr ?? '')
}

/**
 * @param content the signed content
 * @param signature path of the signature
 * @param keyring path of public keys, binary or armored like the KEYS file of an Apache project
 * @throws PipelineError `tools`
 */
export async function verifyOpenPgp(
  content: Buffer,
  signature: string,
  keyring: string,
): Promise<SignatureVerdict> {
  return inWorkFolder(async (folder) => {
    const file = await readRegular(signature, mostSignatureBytes).catch((error: Error) => {
      if (error instanceof NotReadable) return noBytes
      throw error
    })
    const packets = dearmor(file, 'SIGNATURE')
    if (!isOnlySignatures(packets)) return noSignature('it is not a detached OpenPGP signature')
    // gpgv only reads binary keyrings, and has to read the bytes that were examined here.
    const [keys, signatures] = [join(folder, 'keyring.gpg'), join(folder, 'signatures.gpg')]
    await writeFile(keys, dearmor(await readRegular(keyring), 'PUBLIC KEY BLOCK'))
    await writeFile(signatures, packets)
    const { status, said, fault } = await runGpgv(keys, ['--weak-digest', 'SHA1', signatures, '-'], {
      input: content,
    })
    if (fault !== undefined) throw programMissing('gpgv', 'gpgv')
    return judge(status, said, keyring)
  })
}

// --- internal ---

/** A signature has a few hundred bytes, and a release has a few signatures. */
const mostSignatureBytes = 64 * 1024
const noBytes = Buffer.alloc(0)

/** gpgv exits with 0 for an expired key: only GOODSIG says that the key is valid too. */
function judge(status: readonly (readonly string[])[], said: string, keyring: string): SignatureVerdict {
  const has = (keyword: string) => status.some(([first]) => first === keyword)
  const signers: string[] = []
  let name: string | undefined
  for (const [keyword, ...words] of status) {
    if (keyword === 'NEWSIG') name = undefined
    if (keyword === 'GOODSIG') name = words.slice(1).join(' ')
    if (keyword === 'VALIDSIG' && name !== undefined)
      signers.push(`${name} (OpenPGP key ${words[9] ?? words[0]})`)
  }
  const fault = () => {
    if (has('BADSIG')) return 'it is not a signature of these files'
    if (has('REVKEYSIG')) return 'its key is revoked'
    if (has('EXPKEYSIG')) return 'its key has expired'
    if (has('EXPSIG')) return 'it has expired'
    if (has('NO_PUBKEY')) return `no key in ${keyring} made it`
    return `it is not valid: ${said.split('\n').at(-1)}`
  }
  // One bad signature is too many, however many are good.
  if (signers.length > 0 && !has('BADSIG')) return { signers, fault: undefined }
  return noSignature(fault())
}
