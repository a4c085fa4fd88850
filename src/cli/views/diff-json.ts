/** A difference as JSON. */

import { type ChangedFile, isEqual } from '../../diff/compare.ts'
import type { DiffReport } from '../../diff/report.ts'
import type { ComparedDisk } from '../../diff/sources.ts'
import type { DiskFile, DiskPartition } from '../../disk/disk-files.ts'

/** The report as a value for JSON. Names that are not UTF-8 have `\udcXX` for each invalid byte. */
export function reportToJson(
  report: DiffReport,
  [before, after]: readonly [ComparedDisk, ComparedDisk],
): object {
  const { difference, contents, sizes } = report
  const content = (path: string) => {
    const found = contents.get(path)
    return found === undefined ? {} : { content: found }
  }
  return {
    before,
    after,
    isEqual: isEqual(difference),
    unread: difference.unread,
    packages: difference.packages,
    partitions: difference.partitions.map((changed) => ({
      number: changed.number,
      before: describePartition(changed.before),
      after: describePartition(changed.after),
    })),
    added: difference.added.map((file) => ({ ...describeFile(file), ...content(file.path) })),
    removed: difference.removed.map((file) => ({ ...describeFile(file), ...content(file.path) })),
    changed: difference.changed.map((file) => ({ ...describeChange(file), ...content(file.path) })),
    sizes,
  }
}

// --- internal ---

function describeChange({ path, aspects, before, after, digests }: ChangedFile): object {
  return { path, aspects, before: describeFile(before), after: describeFile(after), sha256: digests }
}

function describeFile({ attributes, mode, partition, inode, links, ...file }: DiskFile): object {
  const values = [...attributes].map(([name, value]) => [name, value.toString('hex')])
  return {
    ...file,
    mode: mode.toString(8).padStart(4, '0'),
    ...(values.length === 0 ? {} : { attributes: Object.fromEntries(values) }),
  }
}

function describePartition(partition: DiskPartition | undefined): object | null {
  return partition ?? null
}
