/** What scanners answer, what is accepted of it, and what a release says about both. */

import { describe, expect, it } from 'vitest'
import type { Accepted } from '../../../src/release/accepted.ts'
import { type Answer, scanners } from '../../../src/release/scanners.ts'
import {
  hasFix,
  judgeFindings,
  renderOpenVex,
  renderVulnerabilities,
} from '../../../src/release/vulnerabilities.ts'
import { grypeAnswer, trivyAnswer } from '../../support/scanners.ts'

const [grype, trivy] = scanners as [(typeof scanners)[number], (typeof scanners)[number]]
const now = new Date('2026-11-29T12:00:00Z')
const answer: Answer = grype.read(grypeAnswer)

const notAffected: Accepted = {
  vulnerability: 'CVE-2026-0004',
  status: 'not_affected',
  justification: 'vulnerable_code_not_in_execute_path',
  reason: 'nothing calls it here',
  until: '2026-11-29',
}
const affected: Accepted = {
  vulnerability: 'CVE-2026-0002',
  packages: ['libc6'],
  status: 'affected',
  reason: 'the next release has the fix',
  until: '2027-01-15',
}

describe('the answer', () => {
  it('of grype has its database’s date, and a fix only where one is out', () => {
    expect(answer).toMatchObject({ version: '0.121.3', database: '2026-11-28T06:30:01Z' })
    expect(answer.findings[3]).toEqual({
      id: 'CVE-2026-0004',
      severity: 'high',
      name: 'dpkg',
      version: '1.22.21',
      fixedIn: ['1.22.22'],
    })
    expect(answer.findings[0]?.fixedIn).toEqual([])
  })

  it('of trivy has every version that has a fix', () => {
    const { version, findings } = trivy.read(trivyAnswer)
    expect(version).toBe('0.74.0')
    expect(findings.map(({ id, severity, fixedIn }) => ({ id, severity, fixedIn }))).toEqual([
      { id: 'CVE-2026-0001', severity: 'low', fixedIn: [] },
      { id: 'CVE-2026-0002', severity: 'unknown', fixedIn: ['2.41-13', '2.41-12+deb13u1'] },
    ])
  })

  it.each([
    ['grype', grype, { matches: [{}], descriptor: {} }],
    ['grype', grype, { SchemaVersion: 2 }],
    ['grype', grype, undefined],
    ['trivy', trivy, { SchemaVersion: 1, Results: [] }],
    ['trivy', trivy, { matches: [] }],
  ])('of %s in another format is refused', (_name, scanner, value) => {
    expect(() => scanner.read(value)).toThrow()
  })
})

describe('vulnerabilities', () => {
  it('are listed by name, those with a fix first, then by severity', () => {
    const { vulnerabilities } = judgeFindings(answer, [], now)
    expect(vulnerabilities.map((one) => [one.id, one.severity, hasFix(one)])).toEqual([
      ['CVE-2026-0004', 'high', true],
      ['CVE-2026-0002', 'low', true],
      ['CVE-2026-0003', 'critical', false],
      ['CVE-2026-0001', 'negligible', false],
    ])
    expect(vulnerabilities[0]).toMatchObject({
      packages: [
        { name: 'dpkg', version: '1.22.21', fixedIn: ['1.22.22'] },
        { name: 'libc6', version: '2.41-12', fixedIn: [] },
      ],
      open: ['dpkg'],
    })
  })

  it('are no longer open once they are accepted, until the end of the last day', () => {
    const open = (accepted: readonly Accepted[], time = now) =>
      judgeFindings(answer, accepted, time).vulnerabilities.flatMap((one) =>
        one.open.map((name) => `${one.id} ${name}`),
      )
    expect(open([])).toEqual(['CVE-2026-0004 dpkg', 'CVE-2026-0002 libc6'])
    expect(open([notAffected])).toEqual(['CVE-2026-0002 libc6'])
    expect(open([notAffected, affected])).toEqual([])
    expect(open([{ ...notAffected, packages: ['libc6'] }])).toContain('CVE-2026-0004 dpkg')
    expect(open([notAffected], new Date('2026-11-29T23:59:59Z'))).not.toContain('CVE-2026-0004 dpkg')
    const later = new Date('2026-11-30T00:00:00Z')
    expect(open([notAffected], later)).toContain('CVE-2026-0004 dpkg')
    expect(judgeFindings(answer, [notAffected], later).expired).toEqual([notAffected])
    expect(judgeFindings(answer, [{ ...notAffected, vulnerability: 'CVE-1' }], later).expired).toEqual([])
  })

  it('are a report that names the scanner and its list', () => {
    const text = renderVulnerabilities('grype', answer, judgeFindings(answer, [notAffected], now))
    expect(JSON.parse(text)).toMatchObject({
      version: 1,
      scanner: { name: 'grype', version: '0.121.3', database: '2026-11-28T06:30:01Z' },
      vulnerabilities: [{ id: 'CVE-2026-0004', accepted: [notAffected], open: [] }, {}, {}, {}],
    })
  })

  it('are OpenVEX statements where they are accepted', () => {
    const purls = new Map([
      ['libc6', 'pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie'],
      ['dpkg', 'pkg:deb/debian/dpkg@1.22.21?arch=amd64&distro=trixie'],
    ])
    const text = renderOpenVex(judgeFindings(answer, [affected, notAffected], now), purls, now)
    expect(JSON.parse(text ?? '')).toMatchObject({
      '@context': 'https://openvex.dev/ns/v0.2.0',
      '@id': expect.stringMatching(/^urn:sha256:[0-9a-f]{64}$/),
      timestamp: '2026-11-29T12:00:00.000Z',
      version: 1,
      statements: [
        {
          vulnerability: { name: 'CVE-2026-0004' },
          products: [{ '@id': purls.get('dpkg') }, { '@id': purls.get('libc6') }],
          status: 'not_affected',
          justification: 'vulnerable_code_not_in_execute_path',
          impact_statement: 'nothing calls it here',
        },
        {
          vulnerability: { name: 'CVE-2026-0002' },
          products: [{ '@id': purls.get('libc6') }],
          status: 'affected',
          action_statement: 'the next release has the fix',
        },
      ],
    })
    expect(renderOpenVex(judgeFindings(answer, [], now), purls, now)).toBeUndefined()
  })
})
