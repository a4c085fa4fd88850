/** Who judges our files, and how to do without those that a host does not have. They are never installed by a test. */

import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Content, noise, words } from '../support/disks.ts'
import { pathOfTools } from '../support/path-of-tools.ts'
import { describeUnless, reasonToSkip } from '../support/tools.ts'

/** `describe` for a judge. Each of `wanted` is what has to be there, and whether it is; in CI all of it has to be. */
export function describeJudge(
  title: string,
  wanted: Readonly<Record<string, boolean>>,
  define: () => void,
): void {
  const missing = Object.entries(wanted).flatMap(([what, isThere]) => (isThere ? [] : [what]))
  describeUnless(reasonToSkip(missing), title, define)
}

export function hasProgram(name: string): boolean {
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', name], {
    env: { ...process.env, PATH: pathOfTools },
  })
  return found.status === 0
}

/** Debian's own, for which it has the libraries of libyal: `python3-libqcow` and others. */
const python = '/usr/bin/python3'
const reader = fileURLToPath(new URL('./read-image.py', import.meta.url))

type Library = 'pyqcow' | 'pyvhdi' | 'pyvmdk'

export function hasLibrary(name: Library): boolean {
  return spawnSync(python, ['-c', `import ${name}`]).status === 0
}

/** What a library reads from an image: the size of its disk, and the sha256 of everything on it. */
export function readByLibrary(library: Library, file: string): string {
  return execFileSync(python, [reader, library, file], { encoding: 'utf8' }).trim()
}

const mib = 2 ** 20

/** Of 252 MiB, which every format holds: data that compresses and data that does not, at all kinds of borders. */
export const judgedBytes = 252 * mib
export const judgedContent: Content = {
  0: words('start', 3 * mib),
  [20 * mib + 512]: words('inside', 1000),
  [32 * mib - 65_536]: words('edge', 131_072),
  [64 * mib]: noise(70 * 65_536),
  [judgedBytes - 512]: words('end', 512),
}
