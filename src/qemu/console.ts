/** The guest's serial console, read as it is written, and what its lines mean for a build. */

import { open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import type { ErrorCode } from '../error-codes.ts'
import { PipelineError } from '../errors.ts'

const pollMs = 250

/** Follows a growing file line by line, without colours, until `signal` is aborted. */
export async function followLines(
  path: string,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  let position = 0
  let rest = ''
  // A letter of several bytes may be cut in two as well as a line.
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
        for (const line of lines) onLine(stripVTControlCharacters(line).replace(/\r+$/, ''))
      }
      await file.close()
    }
    await sleep(pollMs, undefined, { signal }).catch(() => undefined)
  }
}

/** Lines after which a guest will never take another stage, most specific first. */
const signs: readonly { readonly pattern: RegExp; readonly code: ErrorCode; readonly what: string }[] = [
  { pattern: /Kernel panic - not syncing/, code: 'guest-panicked', what: 'the kernel of the guest panicked' },
  {
    pattern: /ALERT!.*does not exist|Gave up waiting for (root|suspend\/resume)/,
    code: 'guest-root-missing',
    what: 'the guest found no root filesystem',
  },
  {
    pattern:
      /You are in (emergency|rescue) mode|Cannot open access to console|Give root password for maintenance/,
    code: 'guest-emergency',
    what: 'the guest fell into emergency mode while booting',
  },
  {
    pattern: /systemvm-build: no interface eth0/,
    code: 'guest-no-network',
    what: 'no network interface eth0 appeared in the guest',
  },
  {
    pattern: /Failed to start systemvm-build\.service|systemvm-build\.service: Failed with result/,
    code: 'guest-no-access',
    what: "the build's own unit failed in the guest",
  },
]

/** The failure that a console line is the sign of, if it is one. */
export function readSign(text: string, recent: readonly string[], log: string): PipelineError | undefined {
  // systemd colours the names of its units.
  const line = stripVTControlCharacters(text)
  const sign = signs.find(({ pattern }) => pattern.test(line))
  if (sign === undefined) return undefined
  return new PipelineError({
    code: sign.code,
    message: `${sign.what}: ${line.trim()}`,
    hint: `the console's last lines are below, all of it is in ${log}`,
    details: { lastLines: recent.slice(-20), log },
  })
}
