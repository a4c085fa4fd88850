/** Which object store, and which credentials: from the environment and AWS's own files, as AWS's own programs read them. */

import { loadSharedConfigFiles } from '@smithy/core/config'
import { exitCodes, PipelineError } from '../../errors.ts'
import type { Environment } from '../../host/proxy.ts'
import { hasLogin, redactUrl } from '../../redact.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface BucketSettings {
  readonly bucket: string
  /** Empty, or ends with a slash. */
  readonly prefix: string
  /** Without a path or a login. */
  readonly endpoint: URL
  readonly region: string
  readonly credentials: Credentials
}

export interface BucketRequest {
  /** `s3://bucket/prefix` */
  readonly url: string
  readonly endpoint: string | undefined
  readonly region: string | undefined
  readonly environment: Environment
}

/** Bucket names as S3 and its imitations allow them. */
const address = /^s3:\/\/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:\/(.*))?$/s

/** Parts of a key that nothing along the way interprets as anything else. */
const keyPart = /^(?!\.{1,2}$)[\w.!~'()*+=@,-]{1,200}$/

/** @throws PipelineError `usage`, `no-credentials` */
export async function readBucketSettings(request: BucketRequest): Promise<BucketSettings> {
  const { url, environment } = request
  const [, bucket, path = ''] = address.exec(url) ?? []
  const parts = path.split('/').filter((part) => part !== '')
  if (bucket === undefined || !parts.every((part) => keyPart.test(part)))
    throw usage(
      `--to is not a bucket with a prefix: ${redactUrl(url)}`,
      'write it as s3://bucket/systemvm, with letters, digits, dots and dashes.',
    )
  const profile = await readProfile(environment)
  // An empty variable counts as not set.
  const region =
    request.region ||
    environment.AWS_REGION ||
    environment.AWS_DEFAULT_REGION ||
    profile.region ||
    'us-east-1'
  if (!/^[a-z0-9-]{1,40}$/.test(region))
    throw usage(`this is not a region: ${JSON.stringify(region)}`, 'e.g. --region eu-central-1')
  const endpoint =
    request.endpoint ||
    environment.AWS_ENDPOINT_URL_S3 ||
    environment.AWS_ENDPOINT_URL ||
    profile.endpoint_url ||
    `https://s3.${region}.amazonaws.com`
  return {
    bucket,
    prefix: parts.map((part) => `${part}/`).join(''),
    endpoint: requireEndpoint(endpoint),
    region,
    credentials: credentialsIn(environment, profile),
  }
}

// --- internal ---

type Profile = Readonly<Record<string, string | undefined>>

/** The values of the chosen profile; those in the credentials file win. */
async function readProfile(environment: Environment): Promise<Profile> {
  const files = await loadSharedConfigFiles({ ignoreCache: true })
  const name = environment.AWS_PROFILE || 'default'
  return { ...files.configFile[name], ...files.credentialsFile[name] }
}

function credentialsIn(environment: Environment, profile: Profile): Credentials {
  const fromEnvironment = toCredentials(
    environment.AWS_ACCESS_KEY_ID,
    environment.AWS_SECRET_ACCESS_KEY,
    environment.AWS_SESSION_TOKEN,
  )
  const fromProfile = toCredentials(
    profile.aws_access_key_id,
    profile.aws_secret_access_key,
    profile.aws_session_token,
  )
  // A profile named explicitly wins, even if the environment has keys for another one.
  const found = environment.AWS_PROFILE ? (fromProfile ?? fromEnvironment) : (fromEnvironment ?? fromProfile)
  if (found !== undefined) return found
  throw new PipelineError({
    code: 'no-credentials',
    message: 'there are no credentials for the object store',
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them to ~/.aws/credentials: docs/publish.md shows how.',
    exitCode: exitCodes.badInput,
  })
}

function toCredentials(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
): Credentials | undefined {
  if (!accessKeyId || !secretAccessKey) return undefined
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
}

function requireEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isPlain =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    !hasLogin(url) &&
    url.pathname === '/' &&
    url.search === ''
  if (isPlain) return url
  throw usage(
    `this is not the address of an object store: ${redactUrl(text)}`,
    'e.g. --endpoint https://s3.example.org, with neither a login nor a path: the bucket is in --to.',
  )
}

function usage(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'usage', message, hint, exitCode: exitCodes.badInput })
}
