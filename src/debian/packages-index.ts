/** Packages in a mirror's signed indexes. */

import { fetchIndex } from './index-files.ts'
import {
  parseFields,
  type ReleaseFile,
  type ReleaseRequest,
  type VerifyOptions,
  verifyRelease,
} from './release.ts'

export interface ListedPackage extends ReleaseFile {
  /** Path below the mirror. */
  readonly fileName: string
  /** Name that apt stores it under. The version includes the epoch, unlike in the mirror's file name. */
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
  return texts.map((text) => `\n${text?.toString('latin1').trim() ?? ''}\n`).join('\n')
}

/** Stanzas of the named packages. An index has seventy thousand stanzas, so the others are not even parsed. */
export function* stanzasOf(
  index: string,
  names: ReadonlySet<string>,
): Generator<ReadonlyMap<string, string>> {
  for (let start = 0; start < index.length; ) {
    if (index[start] === '\n') {
      start += 1
      continue
    }
    const found = index.indexOf('\n\n', start)
    const end = found === -1 ? index.length : found
    const lineEnd = index.indexOf('\n', start)
    const name = /^Package: (\S+)/.exec(index.slice(start, lineEnd === -1 ? end : lineEnd))?.[1]
    if (name !== undefined && names.has(name)) yield parseFields(index.slice(start, end))
    start = end
  }
}

/** The package of a stanza; undefined if it lacks what is needed to verify it. */
export function describeStanza(fields: ReadonlyMap<string, string>): ListedPackage | undefined {
  const read = (field: string) => fields.get(field) ?? ''
  const [fileName, sha256, size] = ['Filename', 'SHA256', 'Size'].map(read)
  if (!fileName || !sha256 || !size) return undefined
  const version = read('Version').replaceAll(':', '%3a')
  const archiveName = `${read('Package')}_${version}_${read('Architecture')}.deb`
  return { fileName, archiveName, sha256, size: Number(size) }
}

/** Debian's largest index has 60 MB. */
export const mostIndexBytes = 256 * 1024 ** 2

/** Finds a package in an index; undefined if it is missing or lacks what is needed to verify it. */
export function findListedPackage(index: string, name: string): ListedPackage | undefined {
  return readStanzaAt(index, findLine(index, `Package: ${name}`))
}

/**
 * Finds packages by their path below the mirror. The index is searched once, since that takes a tenth of a second, and
 * anyone on this host may ask thousands of times; only the stanzas that are asked for are parsed.
 */
export function openIndex(index: string): (fileName: string) => ListedPackage | undefined {
  const places = new Map<string, number>()
  const field = 'Filename: '
  for (let at = findField(index, field, 0); at !== -1; at = findField(index, field, at + 1)) {
    const end = index.indexOf('\n', at)
    const fileName = index.slice(at + field.length, end === -1 ? undefined : end)
    if (!places.has(fileName)) places.set(fileName, at)
  }
  return (fileName) => readStanzaAt(index, places.get(fileName) ?? -1)
}

/** Start of a line, or -1. An index has some fifty million characters, so only the requested stanzas are parsed. */
function findLine(text: string, line: string): number {
  if (text.startsWith(`${line}\n`)) return 0
  const at = text.indexOf(`\n${line}\n`)
  return at === -1 ? -1 : at + 1
}

/** Start of the next line with a field, or -1. */
function findField(text: string, field: string, from: number): number {
  if (from === 0 && text.startsWith(field)) return 0
  const at = text.indexOf(`\n${field}`, Math.max(0, from - 1))
  return at === -1 ? -1 : at + 1
}

function readStanzaAt(index: string, at: number): ListedPackage | undefined {
  if (at === -1) return undefined
  const start = index.lastIndexOf('\n\n', at) + 1
  const end = index.indexOf('\n\n', at)
  return describeStanza(parseFields(index.slice(start, end === -1 ? undefined : end)))
}
