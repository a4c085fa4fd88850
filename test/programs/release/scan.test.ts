/** `release --scan` with stand-ins for the scanners, which answer in their formats. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { faultOfSbom } from '../../../src/release/sbom.ts'
import { builtWords, makeBuilt } from '../../support/built.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'
import { grypeAnswer, makeScanner, trivyAnswer } from '../../support/scanners.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const text = useOutput()
const release = (...words: string[]) => main(['release', ...builtWords, '--out', path('out'), ...words])
const read = (name: string) => JSON.parse(readFileSync(path('out', 'release', name), 'utf8'))
const report = 'tiny-1.0-x86_64.vulnerabilities.json'
const statements = 'tiny-1.0-x86_64.openvex.json'

describeWith(['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img'], 'a release that is scanned', () => {
  beforeEach(() => makeBuilt(path('out')))
  afterEach(() => vi.unstubAllEnvs())
  const give = (name: string, answer: unknown, exitCode?: number) =>
    vi.stubEnv(
      'PATH',
      `${makeScanner(path('bin'), name, typeof answer === 'string' ? answer : JSON.stringify(answer), exitCode)}:${process.env.PATH}`,
    )

  it('is refused while a fix is not installed, and says what was found with --allow', async () => {
    give('grype', grypeAnswer)
    expect(await release('--scan')).toBe(4)
    expect(text.stderr).toContain(
      'vulnerable: trixie-x86_64: fixes of known vulnerabilities are not installed: CVE-2026-0004 in dpkg, CVE-2026-0002 in libc6',
    )
    expect(existsSync(path('out', 'release'))).toBe(false)
    expect(await release('--scan', '--allow', 'vulnerable'), text.stderr).toBe(0)
    expect(read(report).vulnerabilities.map(({ id }: { id: string }) => id)).toEqual([
      'CVE-2026-0004',
      'CVE-2026-0002',
      'CVE-2026-0003',
      'CVE-2026-0001',
    ])
    expect(existsSync(path('out', 'release', statements))).toBe(false)
    expect(readFileSync(path('out', 'release', 'RELEASE_NOTES.md'), 'utf8')).toContain(
      '4 known vulnerabilities, 2 of them fixed in newer packages, by grype 0.121.3 with its list of 2026-11-28T06:30:01Z',
    )
    expect(await main(['release', 'verify', path('out', 'release')]), text.stdout).toBe(0)
    // The release knows its files, so that another can take its place.
    expect(await release('--scan', '--allow', 'vulnerable'), text.stderr).toBe(0)
  })

  it('asks by source package and by Debian’s version', async () => {
    give('grype', grypeAnswer)
    await release('--scan')
    expect(readFileSync(path('bin', 'grype.words'), 'utf8')).toMatch(
      /^sbom:\/\S+bill\.cdx\.json\n--output\njson\n/,
    )
    const bill = readFileSync(path('bin', 'grype.bill'), 'utf8')
    expect(await faultOfSbom(bill)).toBeUndefined()
    expect(JSON.parse(bill).components.slice(0, 2)).toMatchObject([
      { type: 'operating-system', name: 'debian', version: '13' },
      { purl: expect.stringMatching(/\?arch=amd64&distro=debian-13&upstream=\w+%40/) },
    ])
  })

  it('is made with what is accepted, and statements about it', async () => {
    give('trivy', trivyAnswer)
    writeFileSync(
      path('accepted.yaml'),
      '- vulnerability: CVE-2026-0002\n  status: affected\n  reason: the next release has it\n  until: 2999-12-31\n',
    )
    expect(await release('--accepted', path('accepted.yaml')), text.stderr).toBe(0)
    expect(read(statements).statements).toMatchObject([
      {
        vulnerability: { name: 'CVE-2026-0002' },
        products: [{ '@id': 'pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie' }],
        action_statement: 'the next release has it',
      },
    ])
    expect(read('release.json').variants[0].scan).toMatchObject({
      scanner: 'trivy',
      vex: statements,
      fixable: 1,
    })
    expect(await main(['release', 'verify', path('out', 'release')]), text.stdout).toBe(0)
  })

  it('is refused once what was accepted is over', async () => {
    give('trivy', trivyAnswer)
    writeFileSync(
      path('accepted.yaml'),
      '- vulnerability: CVE-2026-0002\n  status: affected\n  reason: the next release has it\n  until: 2020-12-31\n',
    )
    expect(await release('--accepted', path('accepted.yaml'))).toBe(4)
    expect(text.stderr).toContain('vulnerable: trixie-x86_64: CVE-2026-0002 was accepted until 2020-12-31')
  })

  it('is made without one where no scanner is, and says so', async () => {
    vi.stubEnv(
      'PATH',
      (process.env.PATH ?? '')
        .split(':')
        .filter((folder) => !existsSync(`${folder}/grype`) && !existsSync(`${folder}/trivy`))
        .join(':'),
    )
    expect(await release('--scan'), text.stderr).toBe(0)
    expect(text.stderr).toContain('grype and trivy are not installed: the release lists only missing updates')
    expect(read('release.json').variants[0].scan).toBeNull()
    expect(readFileSync(path('out', 'release', 'RELEASE_NOTES.md'), 'utf8')).toContain(
      'no scanner was installed',
    )
  })

  it.each<[string, unknown, number, string]>([
    ['fails', '', 1, 'grype cannot say which vulnerabilities the packages have: no database'],
    ['answers in another format', { matches: 1 }, 0, 'its answer has another format than this program knows'],
    ['answers no JSON', 'no JSON', 0, 'its answer has another format than this program knows'],
  ])('is not made if the scanner %s', async (_case, answer, exitCode, said) => {
    give('grype', answer, exitCode)
    expect(await release('--scan')).toBe(3)
    expect(text.stderr).toContain(said)
    expect(existsSync(path('out', 'release'))).toBe(false)
  })

  it.each([
    ['no list', 'vulnerability: CVE-1\n', 'all of it: '],
    [
      'no reason',
      '- vulnerability: CVE-1\n  status: affected\n  until: 2030-01-01\n  reason: why\n',
      '0.reason: must say why',
    ],
    [
      'no justification',
      '- vulnerability: CVE-1\n  status: not_affected\n  until: 2030-01-01\n  reason: it is not reachable\n',
      '0.justification: ',
    ],
    ['no YAML', '- [\n', ' at line 2'],
  ])('is not made if the file of what is accepted has %s', async (_case, content, said) => {
    writeFileSync(path('accepted.yaml'), content)
    expect(await release('--accepted', path('accepted.yaml'))).toBe(2)
    expect(text.stderr).toContain(said)
  })
})
