/** `metadata.ini`, in which CloudStack's management server and its setup find system VM templates. */

import { basename, join } from 'node:path'
import { fullVersion, repositoryFolder } from '../config/release.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { writeDurably } from '../host/files.ts'
import { readRegularText } from '../host/regular-file.ts'
import type { ImageResult } from '../report/report.ts'
import type { TargetName } from '../targets/registry.ts'
import { type Registration, registeredChecksum, registrationsOf } from './registration.ts'

/** Never resolves, by RFC 2606: CloudStack's setup aborts at a template without a URL, even if its file is there. */
export const nowhere = 'http://systemvm.invalid'

/** Writes the sections of each image, and keeps those of other variants that are already in the file. */
export async function writeMetadata(
  folder: string,
  image: ResolvedImage,
  results: readonly ImageResult[],
): Promise<void> {
  const path = join(folder, 'metadata.ini')
  const before = await readRegularText(path).catch(() => '')
  const sections = parseSections(before)
  for (const result of results) {
    for (const registration of registrationsOf(image, result.target as TargetName)) {
      sections.set(registration.section, renderSection(image, result, registration))
      if (registration.hiddenBy !== undefined) sections.delete(registration.hiddenBy)
    }
  }
  const texts = [...sections]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, lines]) => `[${name}]\n${lines}`)
  const defaults = render({
    version: fullVersion(image.release),
    downloadrepository: placeDownloads(image).repository,
  })
  const text = `[default]\n${defaults}\n${texts.join('\n')}`
  if (text !== before) await writeDurably(path, text)
}

/** The URL of the folder that files will be served from, and the part of it that a mirror replaces with its own. */
function placeDownloads({ downloadUrl, release }: ResolvedImage) {
  const folder = `/${repositoryFolder(release)}`
  const url = downloadUrl ?? `${nowhere}${folder}`
  return { url, repository: url.endsWith(folder) ? url.slice(0, -folder.length) : url }
}

function renderSection(image: ResolvedImage, result: ImageResult, registration: Registration): string {
  const file = basename(result.path)
  return render({
    templatename: registration.templateName,
    checksum: registeredChecksum(image, result),
    downloadurl: `${placeDownloads(image).url}/${file}`,
    filename: file,
    arch: image.arch,
    guestos: registration.guestOs,
  })
}

function render(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

/** Sections by name, each as the text of its lines, without `default`, which is rewritten every time. */
export function parseSections(text: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of text.split(/^(?=\[)/m)) {
    const [, name, lines] = /^\[([^\]]+)\]\n([\s\S]*)$/.exec(part) ?? []
    if (name !== undefined && lines !== undefined && name !== 'default')
      sections.set(name, `${lines.trimEnd()}\n`)
  }
  return sections
}
