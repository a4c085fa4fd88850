/** Detached OpenPGP signatures, as the rules of the Apache Software Foundation ask for: made by gpg, verified by gpgv. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { runGpgv } from '../debian/gpgv.ts'
import { readRegular } from '../host/regular-file.ts'
import { noSignature, programMissing, type SignatureVerdict, signingFailed } from '../host/signature.ts'
import { inWorkFolder } from '../host/work-folder.ts'

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
 * @param content what is signed
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
    const binary = join(folder, 'keyring.gpg')
    await writeFile(binary, dearmor(await readRegular(keyring)))
    const { status, said, fault } = await runGpgv(binary, ['--weak-digest', 'SHA1', signature, '-'], {
      input: content,
    })
    if (fault !== undefined) throw programMissing('gpgv', 'gpgv')
    return judge(status, said, keyring)
  })
}

// --- internal ---

/** gpgv ends with 0 for a key that has expired: only GOODSIG says that its key is fit too. */
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
    return `it is not good: ${said.split('\n').at(-1)}`
  }
  // One bad signature is too many, however many are good.
  if (signers.length > 0 && !has('BADSIG')) return { signers, fault: undefined }
  return noSignature(fault())
}

/** gpgv reads only binary keyrings. A file may hold several blocks, with text between them. */
function dearmor(keys: Buffer): Buffer {
  const block = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END PGP PUBLIC KEY BLOCK-----/gs
  const blocks = [...keys.toString('latin1').matchAll(block)].map(([, inner = '']) => inner)
  if (blocks.length === 0) return keys
  return Buffer.concat(blocks.map((inner) => Buffer.from(base64Of(inner), 'base64')))
}

/** The body of an armored block: without the headers above the empty line, and without the checksum, `=` and four letters. */
function base64Of(block: string): string {
  const lines = block.split(/\r?\n/)
  return lines
    .slice(lines.indexOf('') + 1)
    .filter((line) => !/^=.{4}$/.test(line))
    .join('')
}
