/** Checks of the image files themselves: those for every file, and those of each target. */

import { basename, dirname, join } from 'node:path'
import { assertionIds } from '../../config/contract.ts'
import { algorithms, computeChecksums } from '../../export/checksums.ts'
import { parseChecksums } from '../../host/checksum-list.ts'
import { readRegularText } from '../../host/regular-file.ts'
import { differs, type TargetCheck } from '../../targets/file-check.ts'
import { type CheckId, targetNames, targets } from '../../targets/registry.ts'
import type { TargetSettings } from '../../targets/target.ts'
import { type FileCheck, judge, skipped } from '../check.ts'

const packing: FileCheck = {
  id: 'A2',
  group: 'file',
  at: 'file',
  does: 'reads the extension of its name',
  run: async ({ source, packedAs }) => {
    const faults = /\.(xz|zst|lzma|7z)$/.test(packedAs)
      ? [`${basename(packedAs)} is an archive of no known kind`]
      : []
    return judge(faults, packedAs === source.file ? `plain ${source.format}` : basename(packedAs))
  },
}

const checksumLists: FileCheck = {
  id: 'A3',
  group: 'file',
  at: 'file',
  does: 'computes checksums and compares them with md5sum.txt, sha256sum.txt and sha512sum.txt beside it',
  run: async ({ packedAs, signal }) => {
    const folder = dirname(packedAs)
    const found = await Promise.all(
      algorithms.map(async (algorithm) => {
        const list = await readRegularText(join(folder, `${algorithm}sum.txt`)).catch(() => undefined)
        return [algorithm, list] as const
      }),
    )
    const lists = found.flatMap(([algorithm, list]) =>
      list === undefined ? [] : [[algorithm, list] as const],
    )
    if (lists.length === 0) return skipped('there are no checksum lists beside the file')
    const computed = await computeChecksums(packedAs, signal)
    const faults = lists.flatMap(([algorithm, list]) =>
      differs(`${algorithm}sum.txt`, parseChecksums(list).get(basename(packedAs)), computed[algorithm]),
    )
    if (!lists.some(([algorithm]) => algorithm === 'sha512')) faults.push('there is no sha512sum.txt')
    return judge(faults, `${lists.map(([algorithm]) => algorithm).join(', ')}: ${computed.sha256}`)
  },
}

/** The checks that targets declare for their own files. */
const ofTargets = targetNames.flatMap((target) => {
  const entries = Object.entries(targets[target].checks) as [CheckId, TargetCheck<TargetSettings>][]
  return entries.map(
    ([id, { does, inspect }]): FileCheck => ({
      id,
      group: 'file',
      at: 'file',
      targets: [target],
      does,
      run: async ({ source, expected, signal }) => {
        const { formats, diskBytes } = expected
        const { faults, observed } = await inspect({ source, settings: formats?.[target], diskBytes, signal })
        return judge(faults, observed)
      },
    }),
  )
})

/** In the order of the contract. */
export const fileChecks: readonly FileCheck[] = [packing, checksumLists, ...ofTargets].sort(
  (one, other) => assertionIds.indexOf(one.id) - assertionIds.indexOf(other.id),
)
