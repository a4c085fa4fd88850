/** The processes of this host that have to do with a folder. */

import { readdir, readFile } from 'node:fs/promises'

export interface Process {
  readonly pid: number
  readonly command: string
}

/** Every process with a folder in its command line, but this one. */
export async function processesOf(folder: string): Promise<readonly Process[]> {
  const found: Process[] = []
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const command = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    if (command.includes(folder) && Number(name) !== process.pid) found.push({ pid: Number(name), command })
  }
  return found
}
