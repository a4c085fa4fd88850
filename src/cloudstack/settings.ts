/** Which CloudStack to call and with which keys: from the environment, or from the file of its client, cmk. */

import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { loadSharedConfigFiles } from '@smithy/core/config'
import { exitCodes, PipelineError } from '../errors.ts'
import type { Environment } from '../host/proxy.ts'
import { hasLogin, redactUrl } from '../redact.ts'

export interface CloudSettings {
  /** Without a login, e.g. `https://cloud.example.org/client/api`. */
  readonly url: URL
  readonly apiKey: string
  readonly secretKey: string
}

/** Where cmk keeps its profiles. */
export const cmkFile = join('.cmk', 'config')

/**
 * @param profile in cmk's file; if absent, the environment takes precedence
 * @throws PipelineError `no-credentials`, `usage`
 */
export async function readCloudSettings(
  environment: Environment,
  profile: string | undefined,
): Promise<CloudSettings> {
  const {
    CLOUDSTACK_API_URL: url,
    CLOUDSTACK_API_KEY: apiKey,
    CLOUDSTACK_SECRET_KEY: secretKey,
  } = environment
  if (profile === undefined && url && apiKey && secretKey) return settingsOf(url, apiKey, secretKey)
  const file = join(environment.HOME || homedir(), cmkFile)
  // It has the same syntax as AWS's files, so the same package reads it.
  const isFile = (await stat(file).catch(() => undefined))?.isFile() ?? false
  const { credentialsFile: sections } = await loadSharedConfigFiles({
    // The package would block on a pipe.
    filepath: isFile ? file : '/dev/null',
    configFilepath: '/dev/null',
    ignoreCache: true,
  })
  const name = profile ?? sections.core?.profile ?? 'localcloud'
  const { url: fileUrl, apikey, secretkey } = sections[name] ?? {}
  if (fileUrl && apikey && secretkey) return settingsOf(fileUrl, apikey, secretkey)
  throw new PipelineError({
    code: 'no-credentials',
    message:
      profile === undefined
        ? `neither the environment nor profile ${name} of ${file} has an address and keys of CloudStack`
        : `profile ${name} of ${file} has no url, apikey and secretkey`,
    hint: 'set CLOUDSTACK_API_URL, CLOUDSTACK_API_KEY and CLOUDSTACK_SECRET_KEY, or write them with cmk set.',
    exitCode: exitCodes.badInput,
  })
}

// --- internal ---

function settingsOf(text: string, apiKey: string, secretKey: string): CloudSettings {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && !hasLogin(url) && url.search === '')
    return { url, apiKey, secretKey }
  throw new PipelineError({
    code: 'usage',
    message: `this is not the address of CloudStack’s API: ${redactUrl(text)}`,
    hint: 'e.g. https://cloud.example.org/client/api, without a login.',
    exitCode: exitCodes.badInput,
  })
}
