/** SSH into a guest as root, with a key made for this guest and discarded with it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from '../host/execa.ts'
import { commandLine } from '../host/shell-words.ts'
import { cleanText } from './console.ts'

export interface SshKey {
  /** Path of the private key. */
  readonly file: string
  /** One line in OpenSSH's format. */
  readonly publicKey: string
}

export interface SshResult {
  readonly exitCode: number | undefined
  readonly stdout: string
  /** Includes the negotiation of both sides, line by line. */
  readonly stderr: string
}

export async function makeSshKey(folder: string): Promise<SshKey> {
  const file = join(folder, 'key')
  // RSA, like the keys of management servers.
  await generateSshKey(file, ['-t', 'rsa', '-b', '2048', '-C', 'verify'])
  return { file, publicKey: (await readFile(`${file}.pub`, 'utf8')).trim() }
}

/** Writes a private key without a passphrase to `file`, and the public key next to it. */
export async function generateSshKey(file: string, kind: readonly string[]): Promise<void> {
  await execa('ssh-keygen', ['-q', '-N', '', ...kind, '-f', file], { timeout: 30_000 })
}

export interface SshTarget {
  /** On 127.0.0.1. */
  readonly port: number
  /** Path of a private key; without one, no key is offered. */
  readonly key: string | undefined
}

export interface SshOptions extends SshTarget {
  readonly limitSeconds: number
  readonly signal: AbortSignal
}

/** Runs a command. A failure is a result, not an error. */
export async function runSsh(command: string, options: SshOptions): Promise<SshResult> {
  const { limitSeconds, signal } = options
  const words = sshArguments(options, { ConnectTimeout: `${Math.ceil(limitSeconds)}` })
  const { exitCode, stdout, stderr } = await execa('ssh', ['-v', ...words, '--', command], {
    reject: false,
    stdin: 'ignore',
    timeout: limitSeconds * 1000,
    cancelSignal: signal,
  })
  return { exitCode, stdout: cleanText(stdout), stderr: cleanText(stderr) }
}

/** Runs a command, or a shell if it is empty, on our terminal. Returns its exit status. */
export async function openSshShell(target: SshTarget, command: readonly string[]): Promise<number> {
  const terminal = command.length === 0 ? ['-t'] : []
  const words = sshArguments(target, { LogLevel: 'ERROR' })
  const line = command.length === 0 ? [] : [commandLine(command)]
  const ssh = spawn('ssh', [...terminal, ...words, '--', ...line], { stdio: 'inherit' })
  const [exitCode] = (await once(ssh, 'exit')) as [number | null]
  return exitCode ?? 1
}

/** Everything but the command. Ignores the configuration of the user and the host. */
export function sshArguments(
  { port, key }: SshTarget,
  more: Readonly<Record<string, string>> = {},
): readonly string[] {
  const options = {
    BatchMode: 'yes',
    // The guest was made minutes ago, and is reached over the loopback interface.
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    ...(key === undefined ? { PreferredAuthentications: 'none' } : { IdentityFile: key }),
    ...more,
  }
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return ['-F', 'none', ...words, '-p', `${port}`, 'root@127.0.0.1']
}
