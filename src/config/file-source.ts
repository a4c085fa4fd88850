/** Where files come from, as a person writes it: a path, or a URL with the sum of what is there. */

/**
 * What a source stands for. `tree`: a folder, or a tarball of it. `file`: one file as it is. `cloudstack`: a tree too, or
 * CloudStack's sources as a whole, or the scripts that its build has packed.
 */
export type FileKind = 'tree' | 'file' | 'cloudstack'

/** What a file has to be: Apache publishes the one, most others the other. */
export interface Sum {
  readonly algorithm: 'sha256' | 'sha512'
  readonly hex: string
}

/** A source, read but not looked at. */
export interface FileSource {
  /** Absolute path, or a URL. */
  readonly location: string
  readonly isUrl: boolean
  /** Of the file. */
  readonly sum: Sum | undefined
}

const sumSuffix = /#(sha256|sha512)=([0-9a-fA-F]*)$/

export function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
}

export function parseFileSource(text: string): FileSource {
  const [, algorithm, hex = ''] = sumSuffix.exec(text) ?? []
  return {
    location: text.replace(sumSuffix, ''),
    isUrl: isUrl(text),
    sum:
      algorithm === undefined
        ? undefined
        : { algorithm: algorithm as Sum['algorithm'], hex: hex.toLowerCase() },
  }
}

/** Says what is wrong with how a source is written, or nothing. */
export function faultOfSource({ isUrl, location, sum }: FileSource, what = 'tarball'): string | undefined {
  if (isUrl && !/^https?:\/\/[^/]/i.test(location)) return 'must be a URL of http or https'
  // What a server sends today need not be what it sent when somebody looked at it.
  if (isUrl && sum === undefined) return `must end in #sha256= or #sha512= and the sum of the ${what}`
  if (sum === undefined) return undefined
  const digits = sum.algorithm === 'sha256' ? 64 : 128
  if (sum.hex.length !== digits || /[^0-9a-f]/.test(sum.hex))
    return `must have ${digits} hexadecimal digits after #${sum.algorithm}=`
  return undefined
}
