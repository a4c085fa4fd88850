/** The only module that runs gpgv. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'

export interface Verified {
  /** The signed content, if the signature is inline. */
  readonly payload: string
  /**
   * Status lines without their prefix, split into words. Unlike gpgv's messages and exit status, they are a stable interface.
   */
  readonly status: readonly (readonly string[])[]
  /** gpgv's output for people. */
  readonly said: string
  /** Why gpgv did not run; undefined if it did. */
  readonly fault: { readonly shortMessage: string } | undefined
}

/** Of what was signed: OpenPGP can compress a gigabyte into a kilobyte. Debian's Release files have 200 kB. */
const mostBytes = 2 * 1024 ** 2

/** @param subject arguments for what to verify: files, or options for `input` */
export async function runGpgv(
  keyring: string,
  subject: readonly string[],
  options: { readonly input?: Buffer; readonly signal?: AbortSignal | undefined },
): Promise<Verified> {
  const { input, signal } = options
  const words = ['--homedir', '/nonexistent', '--status-fd', '3', '--keyring', keyring, ...subject]
  const result = await execa('gpgv', words, {
    reject: false,
    timeout: 30_000,
    maxBuffer: mostBytes,
    ...bareEnvironment(),
    // Passed through pipes, so that a killed run leaves no files behind.
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    input: input ?? '',
    stripFinalNewline: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  const said = (result.stderr ?? '').replaceAll('gpgv: ', '').trim()
  if (result.isMaxBuffer)
    return { payload: '', status: [['ERROR']], said: `more than ${mostBytes} bytes`, fault: undefined }
  const mark = '[GNUPG:] '
  const lines = (result.stdio[3] ?? '').split('\n').filter((line) => line.startsWith(mark))
  return {
    payload: result.stdout ?? '',
    status: lines.map((line) => line.slice(mark.length).split(' ')),
    said,
    fault:
      result.exitCode === undefined ? { shortMessage: result.shortMessage ?? 'unknown reason' } : undefined,
  }
}
