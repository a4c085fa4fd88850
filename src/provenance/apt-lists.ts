/** The package lists that a guest's apt has chosen from, read from its disk and verified by their signatures. */

import { aptListName } from '../debian/archives.ts'
import { stanzasOf } from '../debian/packages-index.ts'
import { proveRelease, type ReleaseRequest } from '../debian/release.ts'
import { sha256 } from '../digest.ts'
import type { DiskFiles } from '../disk/disk-files.ts'
import { PipelineError } from '../errors.ts'
import type { InputArchive } from './inputs.ts'

/** A signed index's entry for one version of a package. */
export interface IndexEntry {
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly sha256: string
  /** Path of the .deb below the archive. */
  readonly file: string
  readonly sizeBytes: number
}

export interface AptLists {
  readonly archives: readonly InputArchive[]
  /** By `name version architecture`. */
  readonly entries: ReadonlyMap<string, IndexEntry>
}

/** A signed list as the disk has it, and the entries of an index. */
export interface AptList {
  readonly request: ReleaseRequest
  readonly bytes: Buffer
  /** Entries of an index; undefined for the signed file itself. */
  readonly entries?: readonly IndexEntry[]
}

/** The key of an entry. */
export function entryKey({
  name,
  version,
  architecture,
}: Pick<IndexEntry, 'name' | 'version' | 'architecture'>): string {
  return `${name} ${version} ${architecture}`
}

const folder = '/var/lib/apt/lists/'

/**
 * Reads the lists of one disk, except those of archives that the disk does not have.
 * @param names the packages of interest
 * @param onList called with each list, once it is verified
 * @throws PipelineError with a code that begins with `mirror-`, or `apt-list-unproved`
 */
export async function readAptLists(
  disk: DiskFiles,
  requests: readonly ReleaseRequest[],
  names: ReadonlySet<string>,
  signal: AbortSignal,
  onList: (list: AptList) => void = () => undefined,
): Promise<AptLists> {
  const archives: InputArchive[] = []
  const entries = new Map<string, IndexEntry>()
  for (const request of requests) {
    const prefix = `${folder}${aptListName(request.url)}_dists_${request.suite}_`
    const signed = await disk.read(`${prefix}InRelease`)
    if (signed === undefined) continue
    const release = await proveRelease(signed, request, { signal, isRecord: true })
    onList({ request, bytes: signed })
    const { codename, date, signers } = release
    archives.push({
      suite: request.suite,
      url: request.url,
      codename,
      date: date.toISOString(),
      sha256: release.sha256,
      signers: [...signers].sort(),
    })
    for (const component of request.components) {
      const path = `${component}/binary-${request.arch}/Packages`
      const index = await disk.read(`${prefix}${path.replaceAll('/', '_')}`)
      if (index === undefined) continue
      if (release.files.get(path)?.sha256 !== sha256(index)) throw unproved(`${prefix}${path}`)
      const listed = [...parseIndex(index, names)]
      onList({ request, bytes: index, entries: listed })
      for (const entry of listed) entries.set(entryKey(entry), entry)
    }
  }
  return { archives, entries }
}

/** The entries for some packages in the text of a `Packages` file. */
export function* parseIndex(index: Buffer, names: ReadonlySet<string>): Generator<IndexEntry> {
  for (const fields of stanzasOf(index.toString(), names)) {
    const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((field) =>
      fields.get(field),
    )
    const [digest, file] = [fields.get('SHA256'), fields.get('Filename')]
    if (name && version && architecture && digest && file)
      yield { name, version, architecture, sha256: digest, file, sizeBytes: Number(fields.get('Size')) }
  }
}

function unproved(path: string): PipelineError {
  return new PipelineError({
    code: 'apt-list-unproved',
    message: `the package list ${path} of the guest does not match its signed Release file`,
    hint: 'the base was changed after it was made, or its mirror was in the middle of an update: build it again with --no-cache.',
  })
}
