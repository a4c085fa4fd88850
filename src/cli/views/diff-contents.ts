/** Changed configuration: the lines of each file, or its size and digest if they cannot be shown. */

import type { DiskDifference } from '../../diff/compare.ts'
import { type ContentDifference, type Fingerprint, shownFolders } from '../../diff/contents.ts'
import type { DiffReport } from '../../diff/report.ts'
import type { DiskFile } from '../../disk/disk-files.ts'
import { showName } from '../../disk/names.ts'
import { formatBytes } from '../../report/format.ts'
import { cut, limits, type RenderOptions, type Section, tally } from './diff-section.ts'

/** The section for the files whose contents are shown, and for configuration links that were added or removed. */
export function renderContents(
  difference: DiskDifference,
  contents: DiffReport['contents'],
  options: RenderOptions,
): Section | undefined {
  const { added, removed, changed } = difference
  const links = { added: added.filter(isShownLink), removed: removed.filter(isShownLink) }
  const has = ({ path }: { readonly path: string }) => contents.has(path)
  const files = { added: added.filter(has), removed: removed.filter(has), changed: changed.filter(has) }
  const numbers = tally({
    added: files.added.length + links.added.length,
    removed: files.removed.length + links.removed.length,
    changed: files.changed.length,
  })
  if (numbers === '') return undefined
  const { green, red, bold } = options.colors
  const blocks = [
    ...links.removed.map((file) => [red(`removed ${describeLink(file)}`)]),
    ...links.added.map((file) => [green(`added ${describeLink(file)}`)]),
    ...files.removed.map((file) => [red(`removed ${describeFile(file)}`)]),
    ...files.added.map((file) => [
      green(`added ${describeFile(file)}`),
      ...renderContent(contents.get(file.path), options),
    ]),
    ...files.changed.map(({ path }) => [
      bold(`changed ${showName(path)}`),
      ...renderContent(contents.get(path), options),
    ]),
  ]
  return { title: `Contents: ${numbers}`, lines: spend(blocks, options) }
}

/** Whether a link is configuration: links enable units. */
export function isShownLink({ path, type }: DiskFile): boolean {
  return type === 'link' && shownFolders.some((folder) => path.startsWith(`${folder}/`))
}

// --- internal ---

function describeLink({ path, target }: DiskFile): string {
  return `${showName(path)} → ${showName(target ?? '')}`
}

function describeFile({ path, mode, uid, gid, sizeBytes }: DiskFile): string {
  return `${showName(path)} ${mode.toString(8).padStart(4, '0')} ${uid}:${gid} ${formatBytes(sizeBytes)}`
}

/** Every file that still fits within the limit, and only the first line of any other. */
function spend(blocks: readonly (readonly string[])[], options: RenderOptions): readonly string[] {
  if (options.isFull) return blocks.flat()
  const lines: string[] = []
  let isCut = false
  for (const block of blocks) {
    const isRoom = lines.length + block.length <= limits.lines
    if (!isRoom) isCut = true
    lines.push(...(isRoom ? block : block.slice(0, 1)))
  }
  const note = options.colors.dim('… some contents are left out; --full shows all')
  return isCut ? [...lines, note] : lines
}

function renderContent(content: ContentDifference | undefined, options: RenderOptions): readonly string[] {
  if (content === undefined) return []
  if (content.kind === 'fingerprints') {
    const { why, before, after } = content
    return [`  ${why}: ${describeFingerprint(before)} → ${describeFingerprint(after)}`]
  }
  // The names of both sides are already above.
  const lines = content.lines.slice(2).map((line) => colorLine(line, options))
  return cut(lines, limits.fileLines, options).map((line) => `  ${line}`)
}

function describeFingerprint(fingerprint: Fingerprint | undefined): string {
  if (fingerprint === undefined) return 'none'
  return `${fingerprint.sizeBytes} bytes, sha256 ${fingerprint.sha256.slice(0, 12)}`
}

function colorLine(line: string, { colors }: RenderOptions): string {
  // The contents of a disk must not control the terminal.
  const text = line.split('\t').map(showName).join('\t')
  if (line.startsWith('@@')) return colors.cyan(text)
  if (line.startsWith('+')) return colors.green(text)
  return line.startsWith('-') ? colors.red(text) : text
}
