/** Results as JUnit XML for CI systems: one suite per image, one case per check. */

import type { CheckResult, ImageVerification } from '../report/verification.ts'

export function renderJunit(verifications: readonly ImageVerification[]): string {
  const suites = verifications.map(renderSuite).join('')
  const all = verifications.flatMap(({ checks }) => checks)
  const seconds = verifications.reduce((sum, verification) => sum + verification.seconds, 0)
  const counts = countsOf(all)
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="systemvm-image verify"${counts} time="${seconds}">\n${suites}</testsuites>\n`
}

function renderSuite({ path, seconds, checks, scenes, accelerator, sha256 }: ImageVerification): string {
  const facts = {
    sha256,
    accelerator,
    ...Object.fromEntries(
      scenes.flatMap(({ name, loginSeconds, readySeconds }) => [
        ...(loginSeconds === undefined ? [] : [[`${name}.loginSeconds`, loginSeconds] as const]),
        ...(readySeconds === undefined ? [] : [[`${name}.readySeconds`, readySeconds] as const]),
      ]),
    ),
  }
  const properties = Object.entries(facts)
    .map(([name, value]) => `      <property name="${escapeXml(name)}" value="${escapeXml(`${value}`)}"/>\n`)
    .join('')
  const cases = checks.map(renderCase).join('')
  return [
    `  <testsuite name="${escapeXml(path)}"${countsOf(checks)} time="${seconds}">\n`,
    `    <properties>\n${properties}    </properties>\n`,
    cases,
    '  </testsuite>\n',
  ].join('')
}

function renderCase({ id, title, group, at, status, observed, reason, seconds }: CheckResult): string {
  const name = escapeXml(`${id} ${title} (${at})`)
  const open = `    <testcase classname="${escapeXml(group)}" name="${name}" time="${seconds}"`
  switch (status) {
    case 'passed':
      return `${open}><system-out>${escapeXml(observed)}</system-out></testcase>\n`
    case 'failed':
      return `${open}><failure message="${escapeXml(observed)}"/></testcase>\n`
    case 'waived':
      return `${open}><skipped message="${escapeXml(`waived: ${reason}; observed: ${observed}`)}"/></testcase>\n`
    case 'skipped':
      return `${open}><skipped message="${escapeXml(observed)}"/></testcase>\n`
  }
}

function countsOf(checks: readonly CheckResult[]): string {
  const failures = checks.filter(({ status }) => status === 'failed').length
  const skipped = checks.filter(({ status }) => status === 'skipped' || status === 'waived').length
  return ` tests="${checks.length}" failures="${failures}" skipped="${skipped}" errors="0"`
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

/** A guest may print anything, even characters that XML cannot contain. */
function escapeXml(text: string): string {
  return [...text]
    .map((character) => (isForXml(character.codePointAt(0) ?? 0) ? character : '?'))
    .join('')
    .replaceAll(/[&<>"]/g, (character) => entities[character] ?? '')
    .replaceAll('\n', '&#10;')
}

/** XML allows no control characters, no unpaired surrogates, and neither U+FFFE nor U+FFFF. */
function isForXml(code: number): boolean {
  const isControl = code < 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d
  const isHalf = code >= 0xd800 && code <= 0xdfff
  return !isControl && !isHalf && code !== 0xfffe && code !== 0xffff
}
