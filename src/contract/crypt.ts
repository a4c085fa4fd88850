/** Whether a password opens an entry of /etc/shadow. */

import { execa } from 'execa'

/**
 * The first of the passwords that a crypt(3) hash is of. Perl has the crypt of the C library, which on Debian knows
 * yescrypt; it is part of every Debian.
 */
export async function matchesPassword(
  hash: string,
  passwords: readonly string[],
): Promise<string | undefined> {
  if (/^[!*]/.test(hash)) return undefined
  if (hash === '') return passwords.includes('') ? '' : undefined
  const tries = passwords.filter((password) => password !== '')
  // By standard input: arguments are seen by everyone on the host.
  const script = 'chomp(my @l = <STDIN>); my $h = shift @l; for (@l) { print "$_\\n" if crypt($_, $h) eq $h }'
  const { stdout } = await execa('perl', ['-e', script], { input: `${[hash, ...tries].join('\n')}\n` })
  return stdout.split('\n').find((line) => line !== '')
}
