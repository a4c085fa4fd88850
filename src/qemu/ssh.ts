/** SSH into a guest with a key that was made for it and is thrown away with it. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'

export interface SshKey {
  /** Path of the private key. */
  readonly file: string
  /** One line of OpenSSH's. */
  readonly publicKey: string
}

export interface SshResult {
  readonly exitCode: number | undefined
  readonly stdout: string
  /** With what the two sides negotiated, line by line. */
  readonly stderr: string
}

export async function makeSshKey(folder: string): Promise<SshKey> {
  const file = join(folder, 'key')
  // RSA, since that is what management servers have.
  await execa('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-C', 'verify', '-f', file])
  return { file, publicKey: (await readFile(`${file}.pub`, 'utf8')).trim() }
}

export interface SshOptions {
  readonly port: number
  /** Path of a private key; without one nothing but the offer of no key is made. */
  readonly key: string | undefined
  readonly limitSeconds: number
  readonly signal: AbortSignal
}

/** Runs a command as root on 127.0.0.1. A failure is a result, not an error. */
export async function runSsh(
  command: string,
  { port, key, limitSeconds, signal }: SshOptions,
): Promise<SshResult> {
  const options = {
    BatchMode: 'yes',
    // Of a guest that was made a minute ago, on the loopback interface.
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    ConnectTimeout: `${Math.ceil(limitSeconds)}`,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    ...(key === undefined ? { PreferredAuthentications: 'none' } : { IdentityFile: key }),
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  const target = ['-v', '-F', 'none', '-p', `${port}`, 'root@127.0.0.1', '--', command]
  const { exitCode, stdout, stderr } = await execa('ssh', [...words, ...target], {
    reject: false,
    stdin: 'ignore',
    timeout: limitSeconds * 1000,
    cancelSignal: signal,
  })
  return { exitCode, stdout, stderr }
}
