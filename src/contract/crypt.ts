/** Whether a password opens an entry of /etc/shadow. */

import { execa } from 'execa'

/**
 * The first of the passwords that matches a crypt(3) hash. Perl calls the C library's crypt, which on Debian supports
 * yescrypt; every Debian has Perl.
 */
export async function matchesPassword(
  hash: string,
  passwords: readonly string[],
): Promise<string | undefined> {
  if (/^[!*]/.test(hash)) return undefined
  if (hash === '') return passwords.includes('') ? '' : undefined
  const tries = passwords.filter((password) => password !== '')
  // Through standard input: everyone on the host can see arguments.
  const script = 'chomp(my @l = <STDIN>); my $h = shift @l; for (@l) { print "$_\\n" if crypt($_, $h) eq $h }'
  const { stdout } = await execa('perl', ['-e', script], { input: `${[hash, ...tries].join('\n')}\n` })
  return stdout.split('\n').find((line) => line !== '')
}
