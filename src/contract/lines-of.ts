/** Reads the output of a guest's commands. */

import type { Scene } from './scenes.ts'

/** The non-empty lines that a command prints. Ignores its exit status. */
export async function linesOf(
  guest: Scene['guest'],
  command: string,
  limitSeconds?: number,
): Promise<string[]> {
  const { stdout } = await guest.run(command, limitSeconds)
  return stdout.split('\n').filter((line) => line.trim() !== '')
}
