/** Tests whether a password matches an entry of /etc/shadow. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'

/** A hash says itself how much work it is: years and terabytes, if who made the image wants it. */
const limitMs = 20_000
/** More than a system virtual machine has, which must try passwords too: there, no password opens a hash that asks for more. */
const mostKiB = 1024 ** 2

/**
 * The first password that matches a crypt(3) hash. Perl calls the C library's crypt, which supports yescrypt on Debian, and
 * every Debian system has Perl.
 */
export async function matchesPassword(
  hash: string,
  passwords: readonly string[],
): Promise<string | undefined> {
  if (/^[!*]/.test(hash)) return undefined
  if (hash === '') return passwords.includes('') ? '' : undefined
  const tries = passwords.filter((password) => password !== '')
  // Passed on standard input, because everyone on the host can see arguments.
  const script = 'chomp(my @l = <STDIN>); my $h = shift @l; for (@l) { print "$_\\n" if crypt($_, $h) eq $h }'
  const { stdout } = await execa('sh', ['-c', `ulimit -v ${mostKiB} && exec perl -e "$0"`, script], {
    input: `${[hash, ...tries].join('\n')}\n`,
    timeout: limitMs,
    ...bareEnvironment(),
  }).catch((error: unknown) => {
    if (!(error instanceof Error && 'timedOut' in error && error.timedOut)) throw error
    throw new Error(
      `the known passwords are not tried within ${limitMs / 1000} s: its hash asks for too much`,
    )
  })
  return stdout.split('\n').find((line) => line !== '')
}
