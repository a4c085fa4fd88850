/** Checks URLs with the platform's own parser: a URL that it rejects cannot be downloaded. */

import { z } from 'zod'
import { hasLogin } from '../redact.ts'

/**
 * What is wrong with the URL of a file; undefined if nothing is.
 * @param instead what to use instead of a login in the URL, which would end up in logs and records
 */
export function faultOfUrl(
  text: string,
  instead = 'download the file yourself, and give its path',
): string | undefined {
  if (!/^https?:\/\/[^/\\]/i.test(text)) return 'must be a URL of http or https'
  try {
    return hasLogin(new URL(text)) ? `must have no user and password: ${instead}` : undefined
  } catch {
    return 'must be a URL of http or https, with a valid host and port'
  }
}

/** What is wrong with a URL that others use as is: apt, the installer, an image; undefined if nothing is. */
export function faultOfPlainUrl(text: string, instead?: string): string | undefined {
  if (!/^https?:\/\/[^\s\p{Cc}"'\\]+$/u.test(text))
    return 'must be an http(s) URL without spaces, quotes, backslashes and control characters'
  return faultOfUrl(text, instead) ?? (/[?#]/.test(text) ? 'must have no query and no fragment' : undefined)
}

/** The URL of a folder on a server, without trailing slashes. */
export const folderUrl = z
  .string()
  .check(({ value, issues }) => {
    const fault = faultOfPlainUrl(value, "put credentials in apt's auth.conf, where they are for a mirror")
    if (fault !== undefined) issues.push({ code: 'custom', message: fault, input: value, continue: true })
  })
  .transform((text) => text.replace(/\/+$/, ''))
