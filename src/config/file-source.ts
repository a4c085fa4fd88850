/** Where a stage's files come from, as a person writes it: a folder, a tarball, or the URL of one with its sum. */

/** A source, read but not looked at. */
export interface FileSource {
  /** Absolute path, or a URL. */
  readonly location: string
  readonly isUrl: boolean
  /** What the tarball's sha256 has to be. */
  readonly sha256: string | undefined
}

const sumSuffix = /#sha256=([0-9a-fA-F]*)$/

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

export function parseFileSource(text: string): FileSource {
  return {
    location: text.replace(sumSuffix, ''),
    isUrl: isUrl(text),
    sha256: sumSuffix.exec(text)?.[1]?.toLowerCase(),
  }
}

/** Says what is wrong with how a source is written, or nothing. */
export function faultOfSource({ isUrl, location, sha256 }: FileSource): string | undefined {
  if (isUrl && !/^https?:\/\/[^/]/i.test(location)) return 'must be a URL of http or https'
  // What a server sends today need not be what it sent when somebody looked at it.
  if (isUrl && sha256 === undefined) return 'must end in #sha256= and the sum of the tarball'
  if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))
    return 'must have 64 hexadecimal digits after #sha256='
  return undefined
}
