/** `metadata.ini`, by which CloudStack's management server registers system VM templates. */

import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Target } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import { writeDurably } from '../host/files.ts'
import type { ImageResult } from '../report/report.ts'

/** CloudStack's name of each target, and of the operating system that it shows there. */
const registrations: Readonly<Record<Target, { readonly hypervisor: string; readonly guestOs?: string }>> = {
  kvm: { hypervisor: 'kvm' },
  xenserver: { hypervisor: 'xenserver', guestOs: 'Other Linux (64-bit)' },
  hyperv: { hypervisor: 'hyperv' },
  vmware: { hypervisor: 'vmware', guestOs: 'Other Linux (64-bit)' },
  raw: { hypervisor: 'ovm3' },
}

/** Writes a section for each image, and keeps those of other variants that the file has. */
export async function writeMetadata(
  folder: string,
  image: ResolvedImage,
  results: readonly ImageResult[],
): Promise<void> {
  const path = join(folder, 'metadata.ini')
  const before = await readFile(path, 'utf8').catch(() => '')
  const sections = parseSections(before)
  for (const result of results) sections.set(sectionName(image, result), renderSection(image, result))
  const texts = [...sections]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, lines]) => `[${name}]\n${lines}`)
  const text = `[default]\nversion = ${image.release}\n\n${texts.join('\n')}`
  if (text !== before) await writeDurably(path, text)
}

function sectionName(image: ResolvedImage, { target }: ImageResult): string {
  return `${registrations[target as Target].hypervisor}-${image.arch}${labelOf(image)}`
}

function labelOf({ label }: ResolvedImage): string {
  return label === undefined ? '' : `-${label}`
}

function renderSection(image: ResolvedImage, { target, path, sha512 }: ImageResult): string {
  const { hypervisor, guestOs } = registrations[target as Target]
  const file = basename(path)
  const values = {
    templatename: `systemvm-${hypervisor}-${image.release}-${image.arch}${labelOf(image)}`,
    checksum: sha512,
    downloadurl: image.downloadUrl === undefined ? '' : `${image.downloadUrl}/${file}`,
    filename: file,
    arch: image.arch,
    guestos: guestOs ?? `Debian GNU/Linux ${image.debianVersion} (64-bit)`,
  }
  return Object.entries(values)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')
}

/** Sections by name, each as the text of its lines; `default` is written anew every time. */
function parseSections(text: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of text.split(/^(?=\[)/m)) {
    const [, name, lines] = /^\[([^\]]+)\]\n([\s\S]*)$/.exec(part) ?? []
    if (name !== undefined && lines !== undefined && name !== 'default')
      sections.set(name, `${lines.trimEnd()}\n`)
  }
  return sections
}
