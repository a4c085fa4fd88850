/** Packages as a mirror's signed indexes list them. */

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
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
  /** Name under which apt keeps it: its version with the epoch, which the mirror's own name leaves out. */
  readonly archiveName: string
}

/**
 * Fetches the proved indexes of an archive's packages, as one text.
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

/** Fetches the proved index of one component; undefined where the archive lists none in the form that is read here. */
export async function fetchIndex(
  { url, suite, arch }: Pick<ReleaseRequest, 'url' | 'suite' | 'arch'>,
  release: VerifiedRelease,
  component: string,
  options: VerifyOptions = {},
): Promise<string | undefined> {
  const path = `${component}/binary-${arch}/Packages.gz`
  const listed = release.files.get(path)
  if (listed === undefined) return undefined
  const packed = await fetchListed(`${url}/dists/${suite}/${path}`, listed, options)
  return (await promisify(gunzip)(packed)).toString('latin1')
}

/** Finds a package in the text of an index; undefined where it is not, or not with all that proves it. */
export function findListedPackage(index: string, name: string): ListedPackage | undefined {
  return readStanzaAt(index, findLine(index, `Package: ${name}`))
}

/** Finds the package that a path below the mirror is of. */
export function findListedFile(index: string, fileName: string): ListedPackage | undefined {
  return readStanzaAt(index, findLine(index, `Filename: ${fileName}`))
}

/** Where a line begins, or -1. An index has some fifty million characters: only what is asked for is taken apart. */
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
