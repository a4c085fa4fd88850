/** What a scanner has found in a variant, by vulnerability, and which of these are accepted. */

import { sha256 } from '../digest.ts'
import type { Accepted } from './accepted.ts'
import { type Answer, type Finding, type Severity, severities } from './scanners.ts'

export interface Vulnerability {
  readonly id: string
  /** The highest of its packages. */
  readonly severity: Severity
  readonly packages: readonly Pick<Finding, 'name' | 'version' | 'fixedIn'>[]
  /** Why a release may have it in some of the packages. */
  readonly accepted: readonly Accepted[]
  /** Packages for which there is a fix, and for which it is not accepted. */
  readonly open: readonly string[]
}

export interface Judgment {
  /** Vulnerabilities with a fix first, then by severity and name. */
  readonly vulnerabilities: readonly Vulnerability[]
  /** Accepted until a day that has passed, but still found. */
  readonly expired: readonly Accepted[]
}

/** Pure. The last day is included, in UTC. */
export function judgeFindings({ findings }: Answer, accepted: readonly Accepted[], now: Date): Judgment {
  const today = now.toISOString().slice(0, 10)
  const groups = new Map<string, Finding[]>()
  for (const one of findings) {
    const group = groups.get(one.id) ?? []
    group.push(one)
    groups.set(one.id, group)
  }
  const isOf = (one: Accepted, name: string) => one.packages?.includes(name) ?? true
  const vulnerabilities = [...groups].map(([id, all]): Vulnerability => {
    const packages = [...new Map(all.map((one) => [`${one.name} ${one.version}`, one])).values()]
      .map(({ name, version, fixedIn }) => ({ name, version, fixedIn }))
      .sort((a, b) => compare(a.name, b.name))
    const applying = accepted.filter(
      (one) => one.vulnerability === id && one.until >= today && packages.some(({ name }) => isOf(one, name)),
    )
    const open = packages.filter(
      ({ name, fixedIn }) => fixedIn.length > 0 && !applying.some((one) => isOf(one, name)),
    )
    const severity = severities.find((one) => all.some((finding) => finding.severity === one)) ?? 'unknown'
    return { id, severity, packages, accepted: applying, open: open.map(({ name }) => name) }
  })
  return {
    vulnerabilities: vulnerabilities.sort(
      (a, b) =>
        Number(hasFix(b)) - Number(hasFix(a)) ||
        severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
        compare(a.id, b.id),
    ),
    expired: accepted.filter(({ vulnerability, until }) => until < today && groups.has(vulnerability)),
  }
}

export function hasFix({ packages }: Pick<Vulnerability, 'packages'>): boolean {
  return packages.some(({ fixedIn }) => fixedIn.length > 0)
}

/** The report as part of a release. */
export function renderVulnerabilities(
  scanner: string,
  { version, database }: Answer,
  { vulnerabilities }: Judgment,
): string {
  return `${JSON.stringify({ version: 1, scanner: { name: scanner, version, database }, vulnerabilities }, null, 1)}\n`
}

/**
 * Accepted vulnerabilities, as OpenVEX 0.2.0 statements about packages, which scanners take with `--vex`; undefined if there
 * are none.
 * @param purls of packages by name
 */
export function renderOpenVex(
  { vulnerabilities }: Judgment,
  purls: ReadonlyMap<string, string>,
  now: Date,
): string | undefined {
  const statements = vulnerabilities.flatMap(({ id, packages, accepted }) =>
    accepted.map((one) => ({
      vulnerability: { name: id },
      products: packages
        .filter(({ name }) => one.packages?.includes(name) ?? true)
        .map(({ name }) => ({ '@id': purls.get(name) ?? name })),
      status: one.status,
      status_notes: `accepted until ${one.until}`,
      ...(one.status === 'not_affected'
        ? { justification: one.justification, impact_statement: one.reason }
        : { action_statement: one.reason }),
    })),
  )
  if (statements.length === 0) return undefined
  const document = {
    '@context': 'https://openvex.dev/ns/v0.2.0',
    author: 'systemvm-image release',
    timestamp: now.toISOString(),
    version: 1,
    statements,
  }
  return `${JSON.stringify({ '@id': `urn:sha256:${sha256(JSON.stringify(document))}`, ...document }, null, 1)}\n`
}

// --- internal ---

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
