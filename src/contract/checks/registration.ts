/** Checks the `metadata.ini` next to a file: would a management server find and accept the file? */

import { basename, dirname, join } from 'node:path'
import { algorithms, type Checksums, computeChecksums } from '../../export/checksums.ts'
import { parseSections } from '../../export/metadata.ts'
import { registeredChecksum, registrationsOf } from '../../export/registration.ts'
import { parseChecksums } from '../../host/checksum-list.ts'
import { readRegularText } from '../../host/regular-file.ts'
import { type FileCheck, judge, skipped } from '../check.ts'

const registration: FileCheck = {
  id: 'E7',
  group: 'file',
  at: 'file',
  does: "looks up metadata.ini beside the file as the release's management server does",
  run: async ({ packedAs, target, expected, signal }) => {
    const text = await readRegularText(join(dirname(packedAs), 'metadata.ini')).catch(() => undefined)
    if (text === undefined) return skipped('there is no metadata.ini beside the file')
    const { registered } = expected
    if (registered === undefined || target === undefined)
      return skipped('the release of the file and the names it is registered under are unknown')
    const sections = new Map([...parseSections(text)].map(([name, lines]) => [name, parseLines(lines)]))
    const checksum = registeredChecksum(registered, await checksumsOf(packedAs, signal))
    const names: string[] = []
    const faults = registrationsOf(registered, target).flatMap(({ section, hiddenBy, guestOs }) => {
      names.push(section)
      const found = sections.get(section)
      if (found === undefined) return [`it has no section ${section}`]
      const wanted = { filename: basename(packedAs), checksum, guestos: guestOs }
      return [
        ...Object.entries(wanted).flatMap(([key, value]) =>
          found[key] === value
            ? []
            : [`${key} of ${section} is ${found[key] ?? 'missing'}, expected ${value}`],
        ),
        ...(found.downloadurl ? [] : [`${section} has no downloadurl`]),
        ...(hiddenBy !== undefined && sections.has(hiddenBy) ? [`${hiddenBy} hides ${section}`] : []),
      ]
    })
    return judge(faults, names.join(', '))
  },
}

function parseLines(lines: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    lines.split('\n').flatMap((line) => {
      const [, key, value] = /^(\w+) = (.*)$/.exec(line) ?? []
      return key === undefined || value === undefined ? [] : [[key, value]]
    }),
  )
}

/** Checksums from the lists next to the file, which another check compares with it; computed if there are none. */
async function checksumsOf(file: string, signal: AbortSignal): Promise<Checksums> {
  const listed = await Promise.all(
    algorithms.map(async (algorithm) => {
      const list = await readRegularText(join(dirname(file), `${algorithm}sum.txt`)).catch(() => '')
      return [algorithm, parseChecksums(list).get(basename(file))] as const
    }),
  )
  return listed.every(([, checksum]) => checksum !== undefined)
    ? (Object.fromEntries(listed) as Checksums)
    : computeChecksums(file, signal)
}

export const registrationChecks: readonly FileCheck[] = [registration]
