/** A package as a mirror's signed index lists it. */

import { parseFields, type ReleaseFile } from './release.ts'

export interface ListedPackage extends ReleaseFile {
  /** Path below the mirror. */
  readonly fileName: string
}

/** Finds a package in the text of an index; undefined where it is not, or not with all that proves it. */
export function findListedPackage(index: string, name: string): ListedPackage | undefined {
  const stanza = index.split('\n\n').find((part) => part.trimStart().startsWith(`Package: ${name}\n`))
  if (stanza === undefined) return undefined
  const fields = parseFields(stanza)
  const [fileName, sha256, size] = ['Filename', 'SHA256', 'Size'].map((field) => fields.get(field) ?? '')
  return fileName && sha256 && size ? { fileName, sha256, size: Number(size) } : undefined
}
