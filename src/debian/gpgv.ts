/** gpgv: the one place that runs it. */

import { execa } from 'execa'

export interface Verified {
  /** What was signed, where it was signed in line. */
  readonly payload: string
  /** Status lines without their mark, as words: a stable interface, where what gpgv says and how it ends are not. */
  readonly status: readonly (readonly string[])[]
  /** For people. */
  readonly said: string
  /** Why it did not run; undefined where it did. */
  readonly fault: { readonly shortMessage: string } | undefined
}

/** @param subject words for what is verified: files, or options for `input` */
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
    env: { LC_ALL: 'C' },
    // By pipes: a run that is killed meanwhile leaves no file behind.
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    input: input ?? '',
    stripFinalNewline: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  const mark = '[GNUPG:] '
  const lines = (result.stdio[3] ?? '').split('\n').filter((line) => line.startsWith(mark))
  return {
    payload: result.stdout ?? '',
    status: lines.map((line) => line.slice(mark.length).split(' ')),
    said: (result.stderr ?? '').replaceAll('gpgv: ', '').trim(),
    fault:
      result.exitCode === undefined ? { shortMessage: result.shortMessage ?? 'unknown reason' } : undefined,
  }
}
