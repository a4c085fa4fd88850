/** The proxies that the environment names, used the way apt and mmdebstrap would. */

import { exitCodes, PipelineError } from '../errors.ts'
import { redactUrl } from '../redact.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Spellings of each variable; the first one that is set wins. */
const variables = { 'http:': ['http_proxy', 'HTTP_PROXY'], 'https:': ['https_proxy', 'HTTPS_PROXY'] } as const

/** The proxies that are set, by their variables' names. */
function proxiesIn(environment: Environment): readonly (readonly [name: string, value: string])[] {
  return Object.values(variables)
    .flat()
    .flatMap((name) => (environment[name] ? [[name, environment[name]] as const] : []))
}

/**
 * Whether the environment names a proxy.
 * @throws PipelineError `proxy-unusable` for one that is not an http or https URL
 */
export function hasProxy(environment: Environment): boolean {
  const proxies = proxiesIn(environment)
  for (const [name, value] of proxies) {
    if (isProxy(value)) continue
    throw new PipelineError({
      code: 'proxy-unusable',
      message: `${name} is not the URL of an HTTP proxy: ${redactUrl(value)}`,
      hint: `set it like ${name}=http://proxy.example:3128, or unset it.`,
      exitCode: exitCodes.hostNotFit,
    })
  }
  return proxies.length > 0
}

/** The proxy for a URL without its login, as an addition to a message: ` (http_proxy is …)`, or nothing. */
export function proxyNote(url: string, environment: Environment): string {
  const names: readonly string[] = url.startsWith('https:') ? variables['https:'] : variables['http:']
  const used = proxiesIn(environment).find(([name]) => names.includes(name))
  return used === undefined ? '' : ` (${used[0]} is ${redactUrl(used[1])})`
}

function isProxy(value: string): boolean {
  try {
    return /^https?:$/.test(new URL(value).protocol)
  } catch {
    return false
  }
}
