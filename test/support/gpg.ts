/** GnuPG with its own home, for keys without a passphrase. */

import { spawnSync } from 'node:child_process'

/** Returns gpg's output. @param home an existing folder that keeps its keys */
export function runGpg(home: string, words: readonly string[], input = ''): string {
  const options = ['--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', '']
  const { status, stdout, stderr } = spawnSync('gpg', [...options, ...words], { input, encoding: 'utf8' })
  if (status !== 0) throw new Error(`gpg ${words.join(' ')}: ${stderr}`)
  return stdout
}
