/** The scan of one variant for a release: its report, its VEX statements, and what keeps it from being released. */

import { join } from 'node:path'
import { type Package, withoutArchitecture } from '../debian/dpkg-status.ts'
import { writeFile } from '../host/writing.ts'
import type { Accepted } from './accepted.ts'
import type { ReleaseException, ReleaseVariant } from './record.ts'
import type { SbomSubject } from './sbom.ts'
import { purlOf } from './sbom.ts'
import { type FoundScanner, scanPackages } from './scan.ts'
import { hasFix, judgeFindings, renderOpenVex, renderVulnerabilities } from './vulnerabilities.ts'

export interface ScanRequest {
  /** Undefined if this host has none. */
  readonly scanner: FoundScanner | undefined
  readonly accepted: readonly Accepted[]
  readonly now: Date
}

export interface ScannedVariant {
  /** For the record: null if there is no scanner. */
  readonly scan: NonNullable<ReleaseVariant['scan']> | null
  readonly exceptions: readonly ReleaseException[]
}

/**
 * Scans the packages of an image, and writes the findings into the folder of a release.
 * @throws PipelineError `scan-failed`
 */
export async function scanVariant(
  folder: string,
  variant: string,
  { fileName, suite, debianVersion }: SbomSubject,
  packages: readonly Package[],
  { scanner, accepted, now }: ScanRequest,
  signal: AbortSignal,
): Promise<ScannedVariant> {
  if (scanner === undefined) return { scan: null, exceptions: [] }
  const answer = await scanPackages(scanner, packages, debianVersion, signal)
  const judgment = judgeFindings(answer, accepted, now)
  const { vulnerabilities, expired } = judgment
  const report = `${fileName}.vulnerabilities.json`
  await writeFile(join(folder, report), renderVulnerabilities(scanner.scanner.name, answer, judgment))
  const purls = new Map(packages.map((one) => [withoutArchitecture(one.name), purlOf(one, suite)]))
  const statements = renderOpenVex(judgment, purls, now)
  const vex = `${fileName}.openvex.json`
  if (statements !== undefined) await writeFile(join(folder, vex), statements)
  const open = vulnerabilities.filter((one) => one.open.length > 0)
  const say = (text: string) => ({ kind: 'vulnerable' as const, text: `${variant}: ${text}` })
  return {
    scan: {
      scanner: scanner.scanner.name,
      version: answer.version,
      database: answer.database,
      report,
      vex: statements === undefined ? null : vex,
      vulnerabilities: vulnerabilities.length,
      fixable: vulnerabilities.filter(hasFix).length,
      accepted: vulnerabilities.flatMap(({ id, accepted }) =>
        accepted.map(({ reason, until }) => ({ vulnerability: id, reason, until })),
      ),
    },
    exceptions: [
      ...(open.length === 0
        ? []
        : [say(`fixes of known vulnerabilities are not installed: ${listOf(open)}`)]),
      ...expired.map((one) => say(`${one.vulnerability} was accepted until ${one.until}`)),
    ],
  }
}

// --- internal ---

const mostNamed = 20

function listOf(open: readonly { readonly id: string; readonly open: readonly string[] }[]): string {
  const named = open.slice(0, mostNamed).map(({ id, open: [name = ''] }) => `${id} in ${name}`)
  return [...named, ...(open.length > mostNamed ? ['…'] : [])].join(', ')
}
