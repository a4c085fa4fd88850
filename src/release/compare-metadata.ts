/** Requires that `metadata.ini` registers exactly the images that the record describes. */

import { join } from 'node:path'
import { registeredChecksum } from '../export/registration.ts'
import { readRegularText } from '../host/regular-file.ts'
import { type TargetName, targets } from '../targets/registry.ts'
import { type Blame, type ReleaseRecord, releaseFiles } from './record.ts'

export async function compareMetadata(folder: string, record: ReleaseRecord, blame: Blame): Promise<void> {
  const text = await readRegularText(join(folder, releaseFiles.metadata), mostBytes).catch(() => undefined)
  const fault = text === undefined ? 'it cannot be read' : faultOf(text, record)
  if (fault !== undefined) blame(releaseFiles.metadata, fault)
}

// --- internal ---

/** A section has a few hundred bytes. */
const mostBytes = 1024 ** 2

type Section = ReadonlyMap<string, string>

/** Section that does not describe an image: the version, and where the files of all images are. */
const defaults = 'default'

function faultOf(text: string, record: ReleaseRecord): string | undefined {
  const read = readSections(text)
  if ('fault' in read) return read.fault
  const images = record.variants.flatMap(({ files }) => files)
  const checksums = new Map(images.map((image) => [image.file, registeredChecksum(record, image)]))
  const registered = new Set<string>()
  for (const [name, section] of read.sections) {
    if (name === defaults) continue
    const file = section.get('filename') ?? ''
    const checksum = checksums.get(file)
    if (checksum === undefined) return `its section [${name}] is not for an image of this release`
    if (section.get('checksum') !== checksum) return `it does not register ${file} with its checksum`
    registered.add(file)
  }
  const missing = images.find(({ file, target }) => isRegistered(target) && !registered.has(file))
  return missing && `it does not register ${missing.file}`
}

/** Some images are for people, and no CloudStack hypervisor takes them. */
function isRegistered(target: string): boolean {
  return !Object.hasOwn(targets, target) || targets[target as TargetName].hypervisors !== undefined
}

/** Readers disagree on which of two duplicates counts, so nothing may appear twice. */
function readSections(
  text: string,
): { readonly sections: ReadonlyMap<string, Section> } | { readonly fault: string } {
  const sections = new Map<string, Map<string, string>>()
  let section: Map<string, string> | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (line === '') continue
    const [, name] = /^\[([^\][]+)\]$/.exec(line) ?? []
    const [, key = '', value] = /^(\w+) = (.*)$/.exec(line) ?? []
    if (name !== undefined) {
      if (sections.has(name)) return { fault: `it has the section [${name}] twice` }
      section = new Map()
      sections.set(name, section)
    } else if (section === undefined || value === undefined)
      return { fault: `its line ${index + 1} is neither a section nor a value of one` }
    else if (section.has(key)) return { fault: `its line ${index + 1} repeats ${key}` }
    else section.set(key, value)
  }
  return { sections }
}
