/** Signatures with an SSH key, made and verified by OpenSSH, which every host has. */

import { bareEnvironment } from './bare-environment.ts'
import { execa } from './execa.ts'
import { noSignature, programMissing, type SignatureVerdict, signingFailed } from './signature.ts'

/** Whose signatures are trusted. For the formats, see ssh-keygen(1), ALLOWED SIGNERS and KEY REVOCATION LISTS. */
export interface SshTrust {
  /** Path of a file with names and their keys. */
  readonly signers: string
  /** Path of a file with keys that are no longer trusted. */
  readonly revoked: string | undefined
}

/**
 * Returns an armored signature. ssh-keygen asks for a passphrase on the terminal.
 * @param namespace purpose; a signature made for anything else (Git, files) does not count
 * @param key path of a private key, or of a public key whose private key an agent holds
 * @throws PipelineError `signing-failed`, `tools`
 */
export async function signWithSsh(content: string | Buffer, namespace: string, key: string): Promise<string> {
  const words = ['-Y', 'sign', '-n', namespace, '-f', key]
  const { exitCode, code, stdout, stderr } = await execa('ssh-keygen', words, {
    reject: false,
    input: content,
  })
  if (code === 'ENOENT') throw programMissing('ssh-keygen', 'openssh-client')
  if (exitCode !== 0 || !stdout) throw signingFailed(`the key ${key}`, stderr ?? '')
  return `${stdout}\n`
}

export interface SshSignature {
  readonly content: string | Buffer
  /** Path of the armored signature. */
  readonly signature: string
  readonly namespace: string
}

/** @throws PipelineError `tools`, and the reason of `signal` */
export async function verifySsh(
  { content, signature, namespace }: SshSignature,
  { signers, revoked }: SshTrust,
  signal?: AbortSignal,
): Promise<SignatureVerdict> {
  const found = await sshKeygen(['find-principals', '-s', signature, '-f', signers], '', signal)
  const principals = found.stdout.split(/[\n,]/).filter(Boolean)
  const words = ['verify', '-n', namespace, '-s', signature, '-f', signers]
  let said = found.said
  for (const principal of principals) {
    const verified = await sshKeygen([...words, '-I', principal], content, signal)
    said = verified.said
    if (verified.exitCode !== 0) continue
    if (revoked !== undefined) {
      // A separate call, since ssh-keygen does not say that revocation is the reason.
      const { exitCode } = await sshKeygen([...words, '-I', principal, '-r', revoked], content, signal)
      if (exitCode !== 0) return noSignature(`its key is revoked in ${revoked}`)
    }
    const key = /\bSHA256:\S+/.exec(verified.stdout)?.[0] ?? 'an unnamed key'
    return { signers: [`${principal} (SSH key ${key})`], fault: undefined }
  }
  return noSignature(
    principals.length === 0 ? `no key in ${signers} made it: ${said}` : `it is not valid: ${said}`,
  )
}

// --- internal ---

async function sshKeygen(
  words: readonly string[],
  input: string | Buffer,
  signal: AbortSignal | undefined,
): Promise<{ readonly exitCode: number | undefined; readonly stdout: string; readonly said: string }> {
  const result = await execa('ssh-keygen', ['-Y', ...words], {
    reject: false,
    ...bareEnvironment(),
    timeout: 30_000,
    input,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  signal?.throwIfAborted()
  if (result.code === 'ENOENT') throw programMissing('ssh-keygen', 'openssh-client')
  const lines = (result.stderr ?? '').trim().split('\n')
  // The reason comes before the last line, which every failure has.
  const said = lines.filter((line) => !/^(Could not verify|No principal matched)/.test(line)).join('; ')
  return { exitCode: result.exitCode, stdout: result.stdout ?? '', said: said || 'no key matches' }
}
