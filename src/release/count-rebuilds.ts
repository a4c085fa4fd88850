/** Who says, with a key that the reader trusts, that rebuilding a release gave the same files. */

import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../host/failures.ts'
import { readRegularText } from '../host/regular-file.ts'
import { requireReadable } from '../host/signature.ts'
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

/** @throws PipelineError `trust-unreadable`, `tools`, and what reading the folder throws */
export async function countRebuilds(record: ReleaseRecord, trust: RebuildTrust): Promise<CountedRebuilds> {
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
  for (const file of files) {
    const { signers, fault } = await judge(record, join(trust.folder, file), trust)
    if (fault !== undefined) faults.push({ file, fault })
    for (const signer of signers) rebuiltBy.set(nameOf(signer), signer)
  }
  return { rebuiltBy: [...rebuiltBy.values()], faults }
}

// --- internal ---

/** Judging each one takes a process. */
const mostStatements = 1000

/** A statement about two variants has 5 kB. */
const mostBytes = 1024 ** 2

/** One person may have several keys. */
const nameOf = (signer: string) => signer.replace(/ \(SSH key .*$/, '')

async function judge(record: ReleaseRecord, file: string, { rebuilders, revoked }: RebuildTrust) {
  const none = (fault: string) => ({ signers: [], fault })
  const signature = `${file}.sig`
  if (!(await lstat(signature).catch(() => undefined))?.isFile()) return none('it has no signature beside it')
  const content = await readRegularText(file, mostBytes).catch((error: unknown) => none(reasonOf(error)))
  if (typeof content !== 'string') return content
  const verdict = await verifySsh(
    { content, signature, namespace: rebuildNamespace },
    { signers: rebuilders, revoked },
  )
  if (verdict.fault !== undefined) return verdict
  const statement = parseRebuild(content)
  const fault =
    statement === undefined ? 'it is not a statement of a rebuild' : differenceIn(record, statement)
  return fault === undefined ? verdict : none(`${verdict.signers.join()}: ${fault}`)
}

/** What a statement says against a release, or omits; undefined if it found every image identical. */
function differenceIn(
  { variants }: ReleaseRecord,
  { subject, predicate }: RebuildStatement,
): string | undefined {
  const released = new Map(subject.map(({ name, digest }) => [name, digest.sha256]))
  const rebuilt = new Map(predicate.rebuilt.map(({ name, digest }) => [name, digest?.sha256]))
  const images = variants.flatMap(({ files }) => files)
  if (images.length === 0) return 'the release has no image'
  for (const { file, sha256 } of images) {
    if (!released.has(file)) return `${file} was not rebuilt`
    if (released.get(file) !== sha256) return `it is about another ${file}`
    if (rebuilt.get(file) !== sha256) return `${file} differs`
  }
  return undefined
}
