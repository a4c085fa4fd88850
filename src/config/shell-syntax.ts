/** Checks the syntax of scripts with the shell itself. */

import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'

/**
 * The shell's syntax errors, by path. One child process checks all scripts first, since starting one per script costs more
 * than the checks.
 */
export async function faultsOfShell(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const options = { reject: false, stdin: 'ignore', timeout: 60_000, ...bareEnvironment() } as const
  const each = 'for script do sh -n -- "$script" || exit; done'
  const all = await execa('sh', ['-c', each, 'sh', ...paths], options)
  if (all.exitCode === 0) return new Map()
  const asked = paths.map(async (path): Promise<readonly (readonly [string, string])[]> => {
    const { exitCode, stderr } = await execa('sh', ['-n', '--', path], options)
    return exitCode === 0 ? [] : [[path, `is not valid shell (${stderr.replaceAll(`${path}: `, '').trim()})`]]
  })
  return new Map((await Promise.all(asked)).flat())
}
