/** Verifies the signatures of a mirror's Release file, with gpgv and a keyring on this host. */

import { exitCodes, PipelineError } from '../errors.ts'
import { runGpgv } from './gpgv.ts'

/** A Release file, and its expected signer. */
export interface SignedRelease {
  /** Mirror without a trailing slash, e.g. `http://deb.debian.org/debian`. */
  readonly url: string
  /** Folder below `dists/`; must be the codename or suite in the signed file. */
  readonly suite: string
  /** Binary (not armored) keyring on this host. */
  readonly keyring: string
}

/** Hash algorithms of signatures that apt trusts, by their numbers in RFC 9580: SHA-256, SHA-384, SHA-512, and SHA-224. */
const strongDigests = new Set(['8', '9', '10', '11'])

interface SignedText {
  readonly payload: string
  readonly signers: readonly string[]
}

/**
 * Returns only gpgv's output as the signed content, because gpgv drops text before and after the signed part. One good
 * signature is enough, and one bad signature is too many. Signatures by keys that this host lacks are common, since Debian
 * signs a release with the keys of two releases.
 * @throws PipelineError `mirror-unsigned`, `mirror-bad-signature`, `mirror-unknown-signer`, `gpgv-failed`
 */
export async function verifySignature(
  bytes: Buffer,
  request: SignedRelease,
  signal: AbortSignal | undefined,
): Promise<SignedText> {
  const { payload, status, said, fault } = await runGpgv(request.keyring, ['--output', '-'], {
    input: bytes,
    signal,
  })
  if (fault !== undefined) throw gpgvFailed(fault)
  return { payload, signers: judgeSignatures(status, said, request) }
}

function judgeSignatures(
  status: readonly (readonly string[])[],
  said: string,
  request: SignedRelease,
): readonly string[] {
  const all = (keyword: string) => status.filter(([first]) => first === keyword)
  if (all('BADSIG').length > 0 || all('ERROR').length > 0 || all('PLAINTEXT').length > 1) {
    throw badSignature(request, said)
  }
  const signers: string[] = []
  const weak: string[] = []
  let good = false
  for (const words of status) {
    // VALIDSIG also follows signatures by expired or revoked keys; only GOODSIG tells them apart.
    if (words[0] === 'NEWSIG') good = false
    if (words[0] === 'GOODSIG') good = true
    const [keyword, key, , , , , , , digest, , primaryKey = key] = words
    if (keyword !== 'VALIDSIG' || !good || primaryKey === undefined) continue
    if (strongDigests.has(digest ?? '')) signers.push(primaryKey)
    else weak.push(primaryKey)
  }
  if (signers.length > 0) return signers
  if (weak.length > 0) {
    throw badSignature(
      request,
      `signature of ${weak.join(' and ')} by a digest that can be forged: MD5, SHA-1 or RIPEMD-160`,
    )
  }
  const unknown = all('NO_PUBKEY').flatMap((words) => words[1] ?? [])
  if (unknown.length > 0) throw unknownSigner(request, unknown)
  if (all('NEWSIG').length > 0) throw badSignature(request, said)
  throw new PipelineError({
    code: 'mirror-unsigned',
    message: `the InRelease of ${request.suite} at ${request.url} is not signed: ${said || 'no signature found'}`,
    hint: 'a proxy or a captive portal may have answered in place of the mirror; otherwise use another mirror.',
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite },
  })
}

/** The error for content that does not match its signature. */
export function badSignature(request: SignedRelease, said: string): PipelineError {
  return new PipelineError({
    code: 'mirror-bad-signature',
    message: `the InRelease of ${request.suite} at ${request.url} has no good signature. gpgv says:\n${said}`,
    hint: 'the file was changed or truncated in transit: try another network or mirror. Do not continue without a good signature.',
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite, gpgv: said },
  })
}

function unknownSigner(request: SignedRelease, keys: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'mirror-unknown-signer',
    message: `the InRelease of ${request.suite} at ${request.url} is signed by ${keys.join(' and ')}, not in ${request.keyring}`,
    hint: 'install a newer debian-archive-keyring (apt-get install debian-archive-keyring); a mirror with keys of its own needs mirror.keyring.',
    exitCode: exitCodes.hostNotFit,
    details: { url: request.url, suite: request.suite, keys, keyring: request.keyring },
  })
}

function gpgvFailed(cause: { readonly shortMessage: string }): PipelineError {
  return new PipelineError({
    code: 'gpgv-failed',
    message: `gpgv did not run: ${cause.shortMessage}`,
    hint: 'apt-get install gpgv',
    exitCode: exitCodes.hostNotFit,
    cause,
  })
}
