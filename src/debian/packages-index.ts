/** Packages in a mirror's signed indexes. */

import { gunzip } from '../host/gunzip.ts'
import {
  fetchListed,
  parseFields,
  type ReleaseFile,
  type ReleaseRequest,
  type VerifiedRelease,
  type VerifyOptions,
  verifyRelease,
} from './release.ts'

export interface ListedPackage extends ReleaseFile {
  /** Path below the mirror. */
  readonly fileName: string
  /** Name under which apt stores it: its version includes the epoch, unlike in the mirror's file name. */
  readonly archiveName: string
}

/**
 * Fetches an archive's verified package indexes, as one text.
 * @throws PipelineError with a code that begins with `mirror-` or `keyring-`
 */
export async function fetchPackageIndex(
  request: ReleaseRequest,
  options: VerifyOptions = {},
): Promise<string> {
  const release = await verifyRelease(request, options)
  const texts = await Promise.all(
    request.components.map((component) => fetchIndex(request, release, component, options)),
  )
  return texts.map((text = '') => `\n${text.trim()}\n`).join('\n')
}

/** Fetches the verified index of one component; undefined if the archive has none in the format read here. */
export async function fetchIndex(
  { url, suite, arch }: Pick<ReleaseRequest, 'url' | 'suite' | 'arch'>,
  release: VerifiedRelease,
  component: string,
  options: VerifyOptions = {},
): Promise<string | undefined> {
  const path = `${component}/binary-${arch}/Packages.gz`
  const listed = release.files.get(path)
  if (listed === undefined) return undefined
  const whole = `${url}/dists/${suite}/${path}`
  return (await gunzip(await fetchListed(whole, listed, options), mostIndexBytes, whole)).toString('latin1')
}

/** Debian's largest has 60 MB. */
export const mostIndexBytes = 256 * 1024 ** 2

/** Finds a package in an index; undefined if it is missing or lacks what is needed to verify it. */
export function findListedPackage(index: string, name: string): ListedPackage | undefined {
  return readStanzaAt(index, findLine(index, `Package: ${name}`))
}

/** Finds the package at a path below the mirror. */
export function findListedFile(index: string, fileName: string): ListedPackage | undefined {
  return readStanzaAt(index, findLine(index, `Filename: ${fileName}`))
}

/** Start of a line, or -1. An index has some fifty million characters: only the stanzas asked for are parsed. */
function findLine(text: string, line: string): number {
  if (text.startsWith(`${line}\n`)) return 0
  const at = text.indexOf(`\n${line}\n`)
  return at === -1 ? -1 : at + 1
}

function readStanzaAt(index: string, at: number): ListedPackage | undefined {
  if (at === -1) return undefined
  const start = index.lastIndexOf('\n\n', at) + 1
  const end = index.indexOf('\n\n', at)
  const fields = parseFields(index.slice(start, end === -1 ? undefined : end))
  const read = (field: string) => fields.get(field) ?? ''
  const [fileName, sha256, size] = ['Filename', 'SHA256', 'Size'].map(read)
  if (!fileName || !sha256 || !size) return undefined
  const version = read('Version').replaceAll(':', '%3a')
  const archiveName = `${read('Package')}_${version}_${read('Architecture')}.deb`
  return { fileName, archiveName, sha256, size: Number(size) }
}
