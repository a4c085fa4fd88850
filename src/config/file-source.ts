/** Sources of files as a person writes them: a path, or a URL with the checksum of its content. */

import { isUrl } from '../redact.ts'
import { faultOfUrl } from './urls.ts'

/**
 * What a source contains. `tree`: a folder, or a tarball of one. `file`: a single file, used as is. `cloudstack`: also a
 * tree, or CloudStack's complete sources, or the scripts archive from its build.
 */
export type FileKind = 'tree' | 'file' | 'cloudstack'

/** A file's expected checksum: Apache publishes sha512, most others sha256. */
export interface Checksum {
  readonly algorithm: 'sha256' | 'sha512'
  readonly hex: string
}

/** A parsed source, not yet checked. */
export interface FileSource {
  /** Absolute path, or a URL. */
  readonly location: string
  readonly isUrl: boolean
  /** Checksum of the file. */
  readonly checksum: Checksum | undefined
}

const checksumSuffix = /#(sha256|sha512)=([0-9a-fA-F]*)$/

export function parseFileSource(text: string): FileSource {
  const [, algorithm, hex = ''] = checksumSuffix.exec(text) ?? []
  return {
    location: text.replace(checksumSuffix, ''),
    isUrl: isUrl(text),
    checksum:
      algorithm === undefined
        ? undefined
        : { algorithm: algorithm as Checksum['algorithm'], hex: hex.toLowerCase() },
  }
}

/** What is wrong with the way a source is written; undefined if nothing is. */
export function faultOfSource(
  { isUrl, location, checksum }: FileSource,
  what = 'tarball',
): string | undefined {
  const fault = isUrl ? faultOfUrl(location) : undefined
  if (fault !== undefined) return fault
  // A server may now send other content than when the checksum was taken.
  if (isUrl && checksum === undefined)
    return `must end in #sha256= or #sha512= and the checksum of the ${what}`
  if (checksum === undefined) return undefined
  const digits = checksum.algorithm === 'sha256' ? 64 : 128
  if (checksum.hex.length !== digits || /[^0-9a-f]/.test(checksum.hex))
    return `must have ${digits} hexadecimal digits after #${checksum.algorithm}=`
  return undefined
}
