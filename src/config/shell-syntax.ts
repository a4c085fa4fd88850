/** Checks the syntax of scripts with the shell itself. */

import { execa } from 'execa'

/**
 * What the shell finds wrong, by path. All scripts are asked about in one process of ours, since starting one for each costs
 * more than the answers.
 */
export async function faultsOfShell(paths: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const options = { reject: false, stdin: 'ignore', timeout: 60_000 } as const
  const each = 'for script do sh -n -- "$script" || exit; done'
  const all = await execa('sh', ['-c', each, 'sh', ...paths], options)
  if (all.exitCode === 0) return new Map()
  const asked = paths.map(async (path): Promise<readonly (readonly [string, string])[]> => {
    const { exitCode, stderr } = await execa('sh', ['-n', '--', path], options)
    return exitCode === 0 ? [] : [[path, `is not valid shell (${stderr.replaceAll(`${path}: `, '').trim()})`]]
  })
  return new Map((await Promise.all(asked)).flat())
}
