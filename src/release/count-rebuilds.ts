/** Who says, with a key that the reader trusts, that rebuilding a release gave the same files. */

import { lstat, readdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '../digest.ts'
import { reasonOf } from '../host/failures.ts'
import { readRegular, readRegularText } from '../host/regular-file.ts'
import { noSignature, requireReadable, type SignatureVerdict } from '../host/signature.ts'
import { someAtATime } from '../host/some-at-a-time.ts'
import { verifySsh } from '../host/ssh-signature.ts'
import { parseRebuild, type RebuildStatement, rebuildEnding, rebuildNamespace } from './rebuild.ts'
import type { ReleaseRecord } from './record.ts'

export interface RebuildTrust {
  /** Folder of statements, each with its signature next to it. */
  readonly folder: string
  /** SSH keys of those who rebuild releases, in OpenSSH's format of allowed signers. */
  readonly rebuilders: string
  /** SSH keys that are no longer trusted. */
  readonly revoked?: string | undefined
}

export interface CountedRebuilds {
  /** Those who found every image of the release identical; each is listed once, however many statements there are. */
  readonly rebuiltBy: readonly string[]
  /** Statements that do not count. */
  readonly faults: readonly { readonly file: string; readonly fault: string }[]
}

export interface CountRequest {
  readonly record: ReleaseRecord
  readonly trust: RebuildTrust
  /** Called with each step. */
  readonly onStep: (text: string) => void
  readonly signal: AbortSignal
}

/** @throws PipelineError `trust-unreadable`, `tools`, and the reason of `signal` */
export async function countRebuilds({
  record,
  trust,
  onStep,
  signal,
}: CountRequest): Promise<CountedRebuilds> {
  await requireReadable([trust.rebuilders, trust.revoked])
  const rebuiltBy = new Map<string, string>()
  const faults: { readonly file: string; readonly fault: string }[] = []
  const names = await readdir(trust.folder).catch((error: unknown) => {
    faults.push({ file: trust.folder, fault: reasonOf(error) })
    return []
  })
  const files = names.filter((name) => name.endsWith(rebuildEnding)).sort()
  if (files.length > mostStatements) {
    const fault = `it has ${files.length} statements, but at most ${mostStatements} are checked`
    return { rebuiltBy: [], faults: [{ file: trust.folder, fault }] }
  }
  const { rebuilders: signers, revoked } = trust
  const verify = verifyOnce((signed) =>
    verifySsh({ ...signed, namespace: rebuildNamespace }, { signers, revoked }, signal),
  )
  let begun = 0
  const verdicts = await someAtATime(
    files,
    async (file) => {
      signal.throwIfAborted()
      if (begun % statementsPerStep === 0) onStep(`${begun} of ${files.length} statements of rebuilds`)
      begun += 1
      return judge(record, join(trust.folder, file), verify)
    },
    availableParallelism(),
  )
  for (const [index, { signers, fault }] of verdicts.entries()) {
    if (fault !== undefined) faults.push({ file: files[index] as string, fault })
    for (const signer of signers) rebuiltBy.set(nameOf(signer), signer)
  }
  return { rebuiltBy: [...rebuiltBy.values()], faults }
}

// --- internal ---

/** Judging each one takes two processes or more. */
const mostStatements = 1000

/** A thousand take half a minute. */
const statementsPerStep = 100

/** A statement about two variants has 5 kB. */
const mostBytes = 1024 ** 2

/** One person may have several keys. */
const nameOf = (signer: string) => signer.replace(/ \(SSH key .*$/, '')

interface Signed {
  readonly content: string
  /** Path of the signature. */
  readonly signature: string
}

type Verify = (signed: Signed) => Promise<SignatureVerdict>

/** Verifies each pair of a text and a signature once, in however many files it is. */
function verifyOnce(verify: Verify): Verify {
  const known = new Map<string, Promise<SignatureVerdict>>()
  return async (signed) => {
    const signature = await readRegular(signed.signature, mostBytes).catch(reasonOf)
    if (typeof signature === 'string') return noSignature(signature)
    const pair = `${sha256(signed.content)} ${sha256(signature)}`
    const verdict = known.get(pair) ?? verify(signed)
    known.set(pair, verdict)
    return verdict
  }
}

async function judge(record: ReleaseRecord, file: string, verify: Verify): Promise<SignatureVerdict> {
  const signature = `${file}.sig`
  if (!(await lstat(signature).catch(() => undefined))?.isFile())
    return noSignature('it has no signature beside it')
  const content = await readRegularText(file, mostBytes).catch((error: unknown) =>
    noSignature(reasonOf(error)),
  )
  if (typeof content !== 'string') return content
  // What anyone can see comes before what takes a process.
  const statement = parseRebuild(content)
  if (statement === undefined) return noSignature('it is not a statement of a rebuild')
  const difference = differenceIn(record, statement)
  if (difference?.isOfAnother) return noSignature(difference.fault)
  const verdict = await verify({ content, signature })
  // Anyone can write that a file differs: it matters who did.
  if (verdict.fault !== undefined || difference === undefined) return verdict
  return noSignature(`${verdict.signers.join()}: ${difference.fault}`)
}

interface Difference {
  readonly fault: string
  /** Whether it says nothing about all of this release. */
  readonly isOfAnother: boolean
}

/** What a statement says against a release, or omits; undefined if it found every image identical. */
function differenceIn(
  { variants }: ReleaseRecord,
  { subject, predicate }: RebuildStatement,
): Difference | undefined {
  const released = new Map(subject.map(({ name, digest }) => [name, digest.sha256]))
  const rebuilt = new Map(predicate.rebuilt.map(({ name, digest }) => [name, digest?.sha256]))
  const images = variants.flatMap(({ files }) => files)
  const ofAnother = (fault: string) => ({ fault, isOfAnother: true })
  if (images.length === 0) return ofAnother('the release has no image')
  for (const { file, sha256 } of images) {
    if (!released.has(file)) return ofAnother(`${file} was not rebuilt`)
    if (released.get(file) !== sha256) return ofAnother(`it is about another ${file}`)
    if (rebuilt.get(file) !== sha256) return { fault: `${file} differs`, isOfAnother: false }
  }
  return undefined
}
