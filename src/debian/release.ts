/** Verifies a Debian mirror before use: its Release file's signature, age, suite, and content. */

import { createHash } from 'node:crypto'
import type { DebianArch } from '../arch.ts'
import type { ErrorCode } from '../error-codes.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { get, notServed } from '../host/http.ts'
import { readRegular } from '../host/regular-file.ts'
import { parseReleaseDate, requireCurrent } from './release-dates.ts'
import { badSignature, type SignedRelease, verifySignature } from './release-signature.ts'

/** What a mirror is expected to serve. */
export interface ReleaseRequest extends SignedRelease {
  readonly components: readonly string[]
  readonly arch: DebianArch
  /** Instant of a snapshot archive; its Release files are expected to be expired. */
  readonly snapshot?: string | undefined
}

/** A file listed in a Release file. */
export interface ReleaseFile {
  readonly sha256: string
  readonly size: number
}

/** What a mirror serves, according to its signers. */
export interface VerifiedRelease {
  readonly codename: string
  readonly suite: string
  /** When the archive was published. */
  readonly date: Date
  /** Fingerprints of the primary keys of all good signatures; never empty. */
  readonly signers: readonly string[]
  /** By path below `dists/<suite>/`. */
  readonly files: ReadonlyMap<string, ReleaseFile>
  /** Checksum of the signed file itself. */
  readonly sha256: string
}

/** Keeps the newest Release file of each archive. */
export interface ReleaseMemory {
  /** @throws PipelineError `mirror-rolled-back` if the archive has served a newer one before */
  readonly remember: (bytes: Buffer, request: ReleaseRequest, release: VerifiedRelease) => Promise<void>
}

/** A source of the archives' signed files other than their servers. */
export interface ArchiveSource {
  /** `InRelease` of an archive. @throws PipelineError if it is missing */
  readonly release: (request: ReleaseRequest) => Promise<Buffer>
  /** The unpacked index of a component; undefined if it is missing. */
  readonly index: (sha256: string) => Promise<Buffer | undefined>
}

export interface VerifyOptions {
  /** @default the servers */
  readonly source?: ArchiveSource | undefined
  readonly signal?: AbortSignal | undefined
  /** Whether the file is a record of a past use: it was valid then, and need not be today. */
  readonly isRecord?: boolean | undefined
  /** @default nothing is remembered, and none is too old */
  readonly memory?: ReleaseMemory | undefined
  /** The current time. @default the host's clock */
  readonly now?: Date | undefined
}

/**
 * Fetches `dists/<suite>/InRelease` and verifies it.
 * @throws PipelineError with a code that begins with `mirror-` or `keyring-`
 */
export async function verifyRelease(
  request: ReleaseRequest,
  options: VerifyOptions = {},
): Promise<VerifiedRelease> {
  await readRegular(request.keyring).catch((cause) => {
    throw keyringMissing(request.keyring, cause)
  })
  // The file was valid when it was stored there.
  if (options.source !== undefined)
    return proveRelease(await options.source.release(request), request, { ...options, isRecord: true })
  const url = `${request.url}/dists/${request.suite}/InRelease`
  const response = await get(url, mostReleaseBytes, options.signal)
  if (response.status !== 200) throw releaseStatus(request, response.status)
  const release = await proveRelease(response.body, request, options)
  await options.memory?.remember(response.body, request, release)
  return release
}

/** Debian's files have 200 kB. */
const mostReleaseBytes = 2 * 1024 ** 2

/** No index or package that we use is larger. */
const mostListedBytes = 512 * 1024 ** 2

/**
 * Verifies an `InRelease` file that is already here.
 * @throws PipelineError like `verifyRelease`
 */
export async function proveRelease(
  bytes: Buffer,
  request: ReleaseRequest,
  options: VerifyOptions = {},
): Promise<VerifiedRelease> {
  const { payload, signers } = await verifySignature(bytes, request, options.signal)
  const fields = parseFields(payload)
  checkSuite(request, fields)
  const date = readDate(request, fields)
  if (options.isRecord !== true)
    requireCurrent(request, date, fields.get('Valid-Until'), options.now ?? new Date())
  const files = parseFiles(fields.get('SHA256') ?? '')
  checkContent(request, fields, files)
  return {
    codename: fields.get('Codename') ?? request.suite,
    suite: fields.get('Suite') ?? request.suite,
    date,
    signers,
    files,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }
}

/**
 * Fetches a file listed in a verified Release file, or in an index that one lists.
 * @throws PipelineError with a code that starts with `mirror-`
 */
export async function fetchListed(
  url: string,
  listed: ReleaseFile,
  options: Pick<VerifyOptions, 'signal'> = {},
): Promise<Buffer> {
  // A mirror in the middle of an update may serve a file of another size.
  const most = Math.min((listed.size || 0) * 2 + 1024 ** 2, mostListedBytes)
  const { status, body } = await get(url, most, options.signal)
  if (status !== 200) throw notServed(url, status)
  checkListed(url, body, listed)
  return body
}

/** @throws PipelineError `mirror-file-corrupt` if a body does not match its entry in a signed list */
export function checkListed(url: string, body: Buffer, listed: ReleaseFile): void {
  const found: ReleaseFile = { sha256: createHash('sha256').update(body).digest('hex'), size: body.length }
  if (found.size === listed.size && found.sha256 === listed.sha256) return
  throw new PipelineError({
    code: 'mirror-file-corrupt',
    message: `${url} is not the file that the mirror's signed lists vouch for: ${found.size} bytes, sha256 ${found.sha256}; expected ${listed.size} bytes, sha256 ${listed.sha256}`,
    hint: 'the mirror may be in the middle of an update: try again in a few minutes, or use another mirror.',
    exitCode: exitCodes.hostNotFit,
    details: { url, expected: listed, found },
  })
}

function releaseStatus(request: ReleaseRequest, status: number): PipelineError {
  const lacks = status === 404
  return new PipelineError({
    code: lacks ? 'mirror-lacks-suite' : 'mirror-http-status',
    message: lacks
      ? `${request.url} has no suite ${request.suite} (HTTP 404 for its InRelease)`
      : `${request.url} answers HTTP ${status} for the InRelease of ${request.suite}`,
    hint: lacks
      ? 'check the suite and the path of the mirror; releases that are no longer supported move to archive.debian.org.'
      : 'try again later, or use another mirror.',
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite, status },
  })
}

function keyringMissing(keyring: string, cause: unknown): PipelineError {
  return new PipelineError({
    code: 'keyring-missing',
    message: `the keyring ${keyring} cannot be read`,
    hint: 'apt-get install debian-archive-keyring, or name another file in mirror.keyring.',
    exitCode: exitCodes.hostNotFit,
    details: { keyring },
    cause,
  })
}

// --- the content ---

/** Fields of one stanza of a Release file or an index; the lines of a multi-line value are joined by newlines. */
export function parseFields(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  let name: string | undefined
  for (const written of text.split('\n')) {
    // No signature covers white space at the end of a line: a man in the middle can add it to any.
    const line = written.trimEnd()
    const start = /^([^\s:]+):\s*(.*)$/s.exec(line)
    if (start?.[1] !== undefined) {
      name = start[1]
      fields.set(name, start[2] ?? '')
    } else if (name !== undefined && /^\s/.test(line)) {
      fields.set(name, `${fields.get(name)}\n${line.trim()}`)
    }
  }
  return fields
}

function parseFiles(text: string): ReadonlyMap<string, ReleaseFile> {
  const files = new Map<string, ReleaseFile>()
  for (const line of text.split('\n')) {
    const [sha256, size, path] = line.trim().split(/\s+/)
    if (path !== undefined && sha256 !== undefined) files.set(path, { sha256, size: Number(size) })
  }
  return files
}

function checkSuite(request: ReleaseRequest, fields: ReadonlyMap<string, string>): void {
  const names = [fields.get('Codename'), fields.get('Suite')]
  if (names.includes(request.suite)) return
  throw new PipelineError({
    code: 'mirror-suite-mismatch',
    message: `${request.url} serves ${names.filter(Boolean).join(' / ')} under the name ${request.suite}`,
    hint: 'the mirror is broken or its path is wrong; use another mirror.',
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite, codename: names[0], suiteName: names[1] },
  })
}

function readDate(request: ReleaseRequest, fields: ReadonlyMap<string, string>): Date {
  const text = fields.get('Date')
  const date = parseReleaseDate(text)
  if (date !== undefined) return date
  throw badSignature(request, `the signed file has no date that can be read: ${text ?? 'none'}`)
}

function checkContent(
  request: ReleaseRequest,
  fields: ReadonlyMap<string, string>,
  files: ReadonlyMap<string, ReleaseFile>,
): void {
  const offered = (field: string) => (fields.get(field) ?? '').split(/\s+/).filter(Boolean)
  const lacks = (code: ErrorCode, what: string, has: readonly string[]): PipelineError =>
    new PipelineError({
      code,
      message: `${request.suite} at ${request.url} has no ${what}; it has ${has.join(', ') || 'none'}`,
      hint: 'check the architecture and mirror.components, or use another mirror.',
      exitCode: exitCodes.hostNotFit,
      details: { url: request.url, suite: request.suite, offered: has },
    })
  const architectures = offered('Architectures')
  if (!architectures.includes(request.arch)) {
    throw lacks('mirror-architecture-missing', `architecture ${request.arch}`, architectures)
  }
  const components = offered('Components')
  for (const component of request.components) {
    // The security archive names its components `updates/main` and so on, but stores their files under `main`.
    if (!components.some((name) => name === component || name.endsWith(`/${component}`))) {
      throw lacks('mirror-component-missing', `component ${component}`, components)
    }
    const index = `${component}/binary-${request.arch}/Packages`
    const variants = ['', '.xz', '.gz'].map((ending) => index + ending)
    if (!variants.some((path) => /^[0-9a-f]{64}$/.test(files.get(path)?.sha256 ?? ''))) {
      throw lacks('mirror-index-missing', `index ${index} with a SHA256`, [`${files.size} files with one`])
    }
  }
}
