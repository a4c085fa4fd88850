/** Tests whether a password matches an entry of /etc/shadow. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'

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
  const { stdout } = await execa('perl', ['-e', script], {
    input: `${[hash, ...tries].join('\n')}\n`,
    ...bareEnvironment(),
  })
  return stdout.split('\n').find((line) => line !== '')
}
