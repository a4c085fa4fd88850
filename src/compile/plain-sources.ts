/** Files that esbuild reads by itself: it waits for a pipe in the place of one, and never comes to the end of some devices. */

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Large modules that are made by programs have a few MB. */
const mostBytes = 64 * 1024 ** 2

/** What says how the modules in a folder, and in those below it, are compiled. */
const settings = ['package.json', 'tsconfig.json', 'jsconfig.json']

/** Returns a function that says which file it takes to compile a module cannot be read as one; undefined if there is none. */
export function createSourceCheck(): (path: string) => Promise<string | undefined> {
  const seen = new Map<string, Promise<string | undefined>>()
  const look = (path: string) => {
    const looked = seen.get(path) ?? faultOf(path)
    seen.set(path, looked)
    return looked
  }
  return async (path) => {
    for (const one of [path, ...settingsAbove(path)]) {
      const fault = await look(one)
      if (fault !== undefined) return fault
    }
    return undefined
  }
}

// --- internal ---

function* settingsAbove(path: string): Generator<string> {
  for (let at = path; dirname(at) !== at; at = dirname(at))
    for (const name of settings) yield join(dirname(at), name)
}

async function faultOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  // Of what is missing, and of folders, esbuild says so itself.
  if (found === undefined || found.isDirectory()) return undefined
  if (!found.isFile()) return `${path} is not a file`
  return found.size > mostBytes ? `${path} has more than ${mostBytes} bytes` : undefined
}
