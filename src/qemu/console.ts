/** The guest's serial console, read while it is being written. */

import { open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'

const aQuarterSecond = (signal: AbortSignal): Promise<void> => sleep(250, undefined, { signal })

/** A boot prints 100 kB. */
const mostConsoleBytes = 4 * 1024 ** 2

/** A guest may never end a line; it is cut here. */
const mostLineCharacters = 64 * 1024

/**
 * What a guest has printed to a file so far, cleaned by `cleanText`; only the end if there is too much. Empty if there is no
 * file.
 */
export async function readConsole(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const length = Math.min(size, mostConsoleBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return cleanText(buffer.toString('utf8', 0, bytesRead))
  } finally {
    await file.close()
  }
}

/**
 * Follows a growing file line by line, cleaned by `cleanText`, until `signal` is aborted.
 * @param pause awaited before each further look; rejects when aborted
 */
export async function followLines(
  path: string,
  signal: AbortSignal,
  onLine: (line: string) => void,
  pause: (signal: AbortSignal) => Promise<void> = aQuarterSecond,
): Promise<void> {
  let position = 0
  let rest = ''
  // Reads may split a multi-byte character as well as a line.
  const decoder = new StringDecoder('utf8')
  const buffer = Buffer.alloc(64 * 1024)
  while (!signal.aborted) {
    const file = await open(path, 'r').catch(() => undefined)
    if (file !== undefined) {
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
        if (bytesRead === 0) break
        position += bytesRead
        const lines = (rest + decoder.write(buffer.subarray(0, bytesRead))).split('\n')
        rest = lines.pop() ?? ''
        if (rest.length > mostLineCharacters) {
          lines.push(rest)
          rest = ''
        }
        for (const line of lines) onLine(cleanText(line))
      }
      await file.close()
    }
    await pause(signal).catch(() => undefined)
  }
}

/**
 * ECMA-48 sequences, both with ESC and as one character: strings with their content (titles, links, systemd's OSC 3008), CSI
 * with parameters as systemd writes them (`38:5:185`), even if truncated, and all others. A string without a terminator on
 * its line only loses its introducer, so that nothing can hide the rest.
 */
const sequences =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x08\x0a-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/g

/** Control characters except tab and line feed, and those that change the writing direction. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/**
 * A guest's text, made safe to show and store: without control sequences and control characters. Line feeds and tabs stay; a
 * line overwritten by carriage returns keeps all its versions.
 */
export function cleanText(text: string): string {
  return text.replaceAll(sequences, '').split('\n').map(cleanLine).join('\n')
}

function cleanLine(line: string): string {
  return line
    .split('\r')
    .map((version) => version.replaceAll(controls, ''))
    .filter((version) => version !== '')
    .join(' ')
}
