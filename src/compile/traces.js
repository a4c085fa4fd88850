/**
 * Stack traces that name sources instead of compiled modules. Node.js's own option reads the source map of every module that
 * it loads, a fifth of the program's startup time; here a map is read only when a trace is formatted.
 *
 * JavaScript itself, because it runs before anything is compiled.
 */

import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * @typedef {{ readonly map: SourceMap, readonly url: string }} Origins a module's map, and the URL that its sources are
 * relative to
 */

/** @type {Map<string, Origins | undefined>} */
const known = new Map()

/** Takes effect for all later traces. */
export function nameSourcesInTraces() {
  Error.prepareStackTrace = (error, frames) =>
    [String(error), ...frames.map((frame) => `    at ${describe(frame)}`)].join('\n')
}

/** @param {NodeJS.CallSite} frame */
function describe(frame) {
  const words = String(frame)
  const [url, line, column] = [frame.getFileName(), frame.getLineNumber(), frame.getColumnNumber()]
  if (!url?.startsWith('file:') || line === null || column === null) return words
  const origins = known.has(url) ? known.get(url) : readOrigins(url)
  known.set(url, origins)
  const entry = origins?.map.findEntry(line - 1, column - 1)
  if (origins === undefined || entry === undefined || !('originalSource' in entry)) return words
  const source = fileURLToPath(new URL(entry.originalSource, origins.url))
  const place = `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`
  return words.replace(`${url}:${line}:${column}`, () => place)
}

/** @param {string} url of a module @returns {Origins | undefined} undefined if it has no readable map */
function readOrigins(url) {
  try {
    const text = readFileSync(new URL(url), 'utf8')
    const [, name = ''] = /\n\/\/# sourceMappingURL=(\S+)\s*$/.exec(text) ?? []
    const [, inline] = /^data:application\/json;base64,(.*)$/.exec(name) ?? []
    const map = inline === undefined ? readFileSync(new URL(name, url)) : Buffer.from(inline, 'base64')
    return { map: new SourceMap(JSON.parse(map.toString('utf8'))), url }
  } catch {
    return undefined
  }
}
