/**
 * Output of scanners for the packages of `makeBuilt`, in the formats that the programs use in their own tests: grype 0.121
 * and trivy 0.74, without most of the fields that are not read.
 */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const match = (id: string, severity: string, name: string, version: string, fixes: readonly string[]) => ({
  vulnerability: {
    id,
    dataSource: `https://security-tracker.debian.org/tracker/${id}`,
    namespace: 'debian:distro:debian:13',
    severity,
    urls: [],
    cvss: [],
    fix: { versions: fixes, state: fixes.length > 0 ? 'fixed' : 'not-fixed' },
    advisories: [],
    risk: 1.5,
  },
  relatedVulnerabilities: [],
  matchDetails: [{ type: 'exact-indirect-match', matcher: 'dpkg-matcher' }],
  artifact: { id: 'a246fd2054833c93', name, version, type: 'deb', locations: [], licenses: [], purl: '' },
})

export const grypeAnswer = {
  matches: [
    match('CVE-2026-0001', 'Negligible', 'libc6', '2.41-12', []),
    match('CVE-2026-0002', 'Low', 'libc6', '2.41-12', ['2.41-13']),
    match('CVE-2026-0003', 'Critical', 'dpkg', '1.22.21', []),
    match('CVE-2026-0004', 'High', 'dpkg', '1.22.21', ['1.22.22']),
    match('CVE-2026-0004', 'Medium', 'libc6', '2.41-12', []),
    match('CVE-2026-0004', 'High', 'dpkg', '1.22.21', ['1.22.22']),
  ],
  source: { type: 'sbom-file', target: '' },
  distro: { name: 'debian', version: '13', idLike: [] },
  descriptor: {
    name: 'grype',
    version: '0.121.3',
    db: { status: { schemaVersion: 'v6.1.0', built: '2026-11-28T06:30:01Z', valid: true } },
  },
}

const detected = (VulnerabilityID: string, Severity: string, PkgName: string, FixedVersion?: string) => ({
  VulnerabilityID,
  PkgID: `${PkgName}@2.41-12`,
  PkgName,
  InstalledVersion: '2.41-12',
  ...(FixedVersion === undefined ? { Status: 'affected' } : { FixedVersion, Status: 'fixed' }),
  SeveritySource: 'debian',
  PrimaryURL: `https://avd.aquasec.com/nvd/${VulnerabilityID.toLowerCase()}`,
  Severity,
})

export const trivyAnswer = {
  SchemaVersion: 2,
  Trivy: { Version: '0.74.0' },
  ArtifactName: 'bill.cdx.json',
  ArtifactType: 'cyclonedx',
  Metadata: { OS: { Family: 'debian', Name: '13' } },
  Results: [
    {
      Target: 'bill.cdx.json (debian 13)',
      Class: 'os-pkgs',
      Type: 'debian',
      Vulnerabilities: [
        detected('CVE-2026-0001', 'LOW', 'libc6'),
        detected('CVE-2026-0002', 'UNKNOWN', 'libc6', '2.41-13, 2.41-12+deb13u1'),
      ],
    },
    { Target: 'nothing', Class: 'os-pkgs' },
  ],
}

/** Puts a program into a folder that records its input and prints an answer. Returns the folder, for `PATH`. */
export function makeScanner(folder: string, name: string, answer: string, exitCode = 0): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, `${name}.answer`), answer)
  const script = [
    '#!/bin/sh',
    `cd ${folder} || exit 9`,
    `printf '%s\\n' "$@" >${name}.words`,
    // The file is its last or its first argument.
    `for word; do case $word in *bill.cdx.json) cp "\${word#sbom:}" ${name}.bill ;; esac; done`,
    `cat ${name}.answer`,
    ...(exitCode === 0 ? [] : ['echo "no database" >&2']),
    `exit ${exitCode}`,
  ]
  writeFileSync(join(folder, name), `${script.join('\n')}\n`)
  chmodSync(join(folder, name), 0o755)
  return folder
}
