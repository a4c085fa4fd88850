/** What the VHDs for XenServer and Hyper-V have in common. */

import type { DiskSource } from '../disk/disk-source.ts'
import { readMember } from '../disk/tar.ts'
import { checkVhd } from '../formats/vhd-check.ts'
import type { Subformat } from '../formats/vhd-format.ts'
import { differs, type Inspection } from './file-check.ts'
import type { BrokenRule, Surroundings } from './target.ts'

/** The largest disk with a size that a VHD's geometry expresses without rounding. */
const largestMiB = 32_130

export function vhdRules({ diskMiB, epoch }: Surroundings): readonly BrokenRule[] {
  const broken: BrokenRule[] = []
  if (diskMiB !== undefined && diskMiB > largestMiB) {
    const rule = `is more than the ${largestMiB} MiB of a VHD: leave xenserver and hyperv out of targets`
    broken.push({ path: ['disk', 'sizeMiB'], rule, found: diskMiB })
  }
  if (epoch !== undefined && epoch.seconds > Date.now() / 1000) {
    broken.push({
      path: [epoch.source],
      rule: "is in the future by this host's clock, and XenServer refuses such a VHD",
      found:
        epoch.source === 'date' ? new Date(epoch.seconds * 1000).toISOString().slice(0, 10) : epoch.seconds,
    })
  }
  return broken
}

export async function inspectVhd(
  { file, format }: Pick<DiskSource, 'file' | 'format'>,
  subformat: Subformat,
  signal?: AbortSignal,
): Promise<Inspection> {
  if (format !== 'vhd') return { faults: [`it is a ${format}`], observed: '' }
  // A dynamic VHD begins with a copy of its footer.
  const found = await readMember(file, { offset: 0, sizeBytes: 8 })
  const kind = found === 'conectix' ? 'dynamic' : 'fixed'
  const faults = [...differs('subformat', kind, subformat), ...(await checkVhd(file, signal))]
  return { faults, observed: `${kind} VHD, sound` }
}
