/** Reading what a guest's commands print. */

import type { Scene } from './scenes.ts'

/** What a command prints, by lines. Of its exit status nothing is said. */
export async function linesOf(
  guest: Scene['guest'],
  command: string,
  limitSeconds?: number,
): Promise<string[]> {
  const { stdout } = await guest.run(command, limitSeconds)
  return stdout.split('\n').filter((line) => line.trim() !== '')
}
