/** Packages as a mirror's signed indexes list them. */

import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import {
  fetchListed,
  parseFields,
  type ReleaseFile,
  type ReleaseRequest,
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
    request.components.map(async (component) => {
      const path = `${component}/binary-${request.arch}/Packages.gz`
      const listed = release.files.get(path)
      if (listed === undefined) return ''
      const url = `${request.url}/dists/${request.suite}/${path}`
      return (await promisify(gunzip)(await fetchListed(url, listed, options))).toString('latin1')
    }),
  )
  return texts.map((text) => `\n${text.trim()}\n`).join('\n')
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
