/** What the OVAs for all hypervisors have in common. */

import { type Json, sha256 } from '../digest.ts'
import type { DiskSource } from '../disk/disk-source.ts'
import { hashMember, readMember } from '../disk/tar.ts'
import { ovfTemplate } from '../formats/ovf.ts'
import { type OvfFacts, readOvf } from '../formats/ovf-facts.ts'
import { readTemplate } from '../template.ts'
import { differs, type Inspection, type TargetCheck } from './file-check.ts'
import type { BrokenRule, FileSource, Surroundings, TargetSettings } from './target.ts'

/**
 * A VMDK's descriptor puts its file name in double quotes without any escaping. An OVF refers to the file by URI, in which
 * the other characters are special, and importers interpret them differently: `fat:x` has a scheme, and a backslash makes a
 * path.
 */
export function ovaNameRules(target: string, { fileName = '' }: Surroundings): readonly BrokenRule[] {
  if (!/["%#?:\\]/.test(fileName)) return []
  const rule = `must not contain any of " % # ? : \\ for the target ${target}`
  return [{ path: ['name'], rule, found: fileName }]
}

/** What an OVA depends on in addition to the disk: settings, timestamp, names, and the template of its description. */
export function ovaDependencies({ settings, sourceDateEpoch, fileName }: FileSource<TargetSettings>): Json {
  return { ...settings, sourceDateEpoch, fileName, envelope: sha256(readTemplate(ovfTemplate)) }
}

/** Reads the description in an OVA and compares it with the expected facts. */
export async function inspectOvf(source: DiskSource, expected: Partial<OvfFacts>): Promise<Inspection> {
  const descriptor = source.members.find(({ name }) => name.endsWith('.ovf'))
  if (descriptor === undefined) return { faults: [`it is a ${source.format} without an .ovf`], observed: '' }
  const facts = readOvf(await readMember(source.file, descriptor))
  const faults = Object.entries(expected).flatMap(([name, value]) =>
    differs(name, facts[name as keyof OvfFacts], value),
  )
  if (descriptor !== source.members[0]) faults.push('the .ovf does not come first')
  const observed = Object.entries(facts).map(([name, value]) => `${name} ${value}`)
  return { faults, observed: observed.join(', ') }
}

export const soundManifest: TargetCheck<unknown> = {
  does: 'computes the checksum of each file in the OVA and compares it with the manifest',
  async inspect({ source, signal }) {
    const member = source.members.find(({ name }) => name.endsWith('.mf'))
    if (member === undefined) {
      return { faults: [`it is a ${source.format} without a manifest`], observed: '' }
    }
    const lines = [...(await readMember(source.file, member)).matchAll(/^(SHA\d+)\((.+)\)= ([0-9a-f]+)$/gm)]
    const listed = new Set(lines.map(([, , name]) => name))
    // For each line a file is hashed, which may be large.
    if (lines.length > listed.size) return { faults: ['its manifest lists a file twice'], observed: '' }
    const faults = source.members.flatMap(({ name }) =>
      name === member.name || listed.has(name) ? [] : [`${name} is not in the manifest`],
    )
    for (const [, algorithm = '', name = '', sum] of lines) {
      const part = source.members.find((candidate) => candidate.name === name)
      if (part === undefined) faults.push(`${name} is not in the OVA`)
      else
        faults.push(
          ...differs(name, await hashMember(source.file, part, algorithm.toLowerCase(), signal), sum),
        )
    }
    return { faults, observed: `${lines.length} files as their ${lines[0]?.[1]} says` }
  },
}
