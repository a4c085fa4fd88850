/** The output of Packer and the guest, as events. Packer's `-machine-readable` lines carry the guest's output. */

import { cleanText } from '../qemu/console.ts'

/** How Packer writes a comma in a machine-readable line. */
export const writtenComma = '%!(PACKER_COMMA)'

/** One line of Packer's output, with its kind in Packer's user interface. */
export interface PackerLine {
  readonly kind: 'say' | 'message' | 'error'
  readonly text: string
}

/** A stage's report about itself, in its output. */
export type StageLine =
  | { readonly kind: 'begin'; readonly name: string }
  | { readonly kind: 'end'; readonly name: string; readonly exitStatus: number }
  | {
      readonly kind: 'artifact'
      readonly type: 'file' | 'link' | 'folder'
      readonly mode: string
      readonly sizeBytes: number
      readonly sha256: string
      readonly path: string
    }
  | { readonly kind: 'missing'; readonly path: string }
  | {
      readonly kind: 'package'
      readonly name: string
      readonly version: string
      /** False for packages that dpkg still lists although they were removed. */
      readonly isInstalled: boolean
    }
  | { readonly kind: 'packages-end' }
  | { readonly kind: 'output'; readonly text: string }

/** Parses one machine-readable line; empty unless it is meant for people. */
export function parsePackerLine(line: string): readonly PackerLine[] {
  const match = /^\d+,([^,]*),([^,]*),(.*)$/.exec(line)
  if (match === null || match[2] !== 'ui') return []
  const [, kind, data] = /^(say|message|error),(.*)$/.exec(match[3] as string) ?? []
  if (kind === undefined || data === undefined) return []
  const text = data.replaceAll(writtenComma, ',').replaceAll('\\r', '\r').replaceAll('\\n', '\n')
  return text
    .split('\n')
    .map((part) => ({ kind: kind as PackerLine['kind'], text: withoutPrefix(cleanText(part)) }))
}

/** Packer indents the guest's lines and prefixes them with the builder's name. */
function withoutPrefix(text: string): string {
  return text.replace(/^(==>|\s{3,4}) qemu\.systemvm: ?/, '')
}

/**
 * Parses one line of a stage's output.
 * @param mark the first word of the lines that `stage.sh` prints in this run; all others are output of a script
 */
export function parseStageLine(text: string, mark: string): StageLine {
  const [first, kind, ...words] = text.split(' ')
  const line = first === mark ? parseMarked(kind, words) : undefined
  return line ?? { kind: 'output', text }
}

function parseMarked(kind: string | undefined, words: readonly string[]): StageLine | undefined {
  const rest = words.join(' ')
  switch (kind) {
    case 'begin':
      return { kind, name: rest }
    case 'end': {
      const [name = '', status = ''] = words
      return /^\d{1,3}$/.test(status) ? { kind, name, exitStatus: Number(status) } : undefined
    }
    case 'missing':
      return { kind, path: rest }
    case 'packages-end':
      return { kind }
    case 'package': {
      const [name = '', version = '', status = ''] = words
      // The second letter of dpkg's status: `n` and `c` have no files, except perhaps configuration.
      return { kind, name, version, isInstalled: /^.[^nc]/.test(status) }
    }
    case 'artifact': {
      const [, type, mode, size, sha256, path] =
        /^(file|link|folder) ([0-7]{1,4}) (\d{1,15}) ([0-9a-f]{64}) (\/.*)$/.exec(rest) ?? []
      if (!isArtifactType(type) || mode === undefined || sha256 === undefined || path === undefined)
        return undefined
      return { kind, type, mode, sizeBytes: Number(size), sha256, path }
    }
  }
}

function isArtifactType(type: string | undefined): type is 'file' | 'link' | 'folder' {
  return type === 'file' || type === 'link' || type === 'folder'
}
