/** Programs that find known vulnerabilities: how to run each on an SBOM, and how to read its output. */

import { z } from 'zod'

/** One known vulnerability of one package. */
export interface Finding {
  /** CVE, or another identifier if it has none. */
  readonly id: string
  readonly severity: Severity
  readonly name: string
  readonly version: string
  /** Versions that no longer have it; empty if there are none yet. */
  readonly fixedIn: readonly string[]
}

/** By severity, most severe first. */
export const severities = ['critical', 'high', 'medium', 'low', 'negligible', 'unknown'] as const
export type Severity = (typeof severities)[number]

export interface Answer {
  /** Version of the program. */
  readonly version: string | null
  /** When its vulnerability database was made; null if it does not say. */
  readonly database: string | null
  readonly findings: readonly Finding[]
}

export interface Scanner {
  readonly name: string
  /** @param bill absolute path of a CycloneDX file */
  readonly words: (bill: string) => readonly string[]
  /** @throws ZodError for output in another format */
  readonly read: (answer: unknown) => Answer
}

const text = z.string().max(2000)
const severity = text.optional().transform((word = ''): Severity => {
  const found = severities.find((one) => one === word.toLowerCase())
  return found ?? 'unknown'
})

const grypeAnswer = z.object({
  matches: z
    .array(
      z.object({
        vulnerability: z.object({
          id: text,
          severity,
          fix: z.object({ versions: z.array(text).nullish(), state: text.nullish() }).optional(),
        }),
        artifact: z.object({ name: text, version: text }),
      }),
    )
    .max(200_000),
  descriptor: z.object({
    version: text.optional(),
    db: z
      .object({
        built: text.optional(),
        status: z.object({ built: text.optional() }).nullish(),
      })
      .nullish(),
  }),
})

const trivyAnswer = z.object({
  SchemaVersion: z.literal(2),
  Trivy: z.object({ Version: text.optional() }).optional(),
  Results: z
    .array(
      z.object({
        Vulnerabilities: z
          .array(
            z.object({
              VulnerabilityID: text,
              PkgName: text,
              InstalledVersion: text,
              FixedVersion: text.optional(),
              Severity: severity,
            }),
          )
          .max(200_000)
          .optional(),
      }),
    )
    .max(1000)
    .optional(),
})

/** The first one that this host has is used. */
export const scanners: readonly Scanner[] = [
  {
    name: 'grype',
    words: (bill) => [`sbom:${bill}`, '--output', 'json', '--by-cve', '--quiet'],
    read: (answer) => {
      const { matches, descriptor } = grypeAnswer.parse(answer)
      return {
        version: descriptor.version ?? null,
        database: descriptor.db?.status?.built ?? descriptor.db?.built ?? null,
        findings: matches.map(({ vulnerability: { id, severity, fix }, artifact: { name, version } }) => ({
          id,
          severity,
          name,
          version,
          fixedIn: fix?.state === 'fixed' ? (fix.versions ?? []) : [],
        })),
      }
    },
  },
  {
    name: 'trivy',
    words: (bill) => ['sbom', '--format', 'json', '--scanners', 'vuln', '--quiet', bill],
    read: (answer) => {
      const { Trivy, Results = [] } = trivyAnswer.parse(answer)
      return {
        version: Trivy?.Version ?? null,
        database: null,
        findings: Results.flatMap(({ Vulnerabilities = [] }) =>
          Vulnerabilities.map((one) => ({
            id: one.VulnerabilityID,
            severity: one.Severity,
            name: one.PkgName,
            version: one.InstalledVersion,
            fixedIn: one.FixedVersion ? one.FixedVersion.split(', ') : [],
          })),
        ),
      }
    },
  },
]
