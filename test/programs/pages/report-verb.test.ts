/** `report`: what it writes, what it leaves alone, and what it opens. */

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import type { ImageVerification } from '../../../src/report/verification.ts'
import { writeVerdict } from '../../../src/verify/verdicts.ts'
import { useFolder } from '../../support/folder.ts'
import { makeLargeReport } from '../../support/large-report.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()
const report = makeLargeReport(10)
const text = { stdout: '', stderr: '' }

beforeEach(() => {
  for (const to of ['stdout', 'stderr'] as const) {
    text[to] = ''
    vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
      text[to] += chunk.toString()
      return true
    })
  }
  mkdirSync(path('out'))
  writeFileSync(path('out', 'report.json'), JSON.stringify(report))
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const page = () => readFileSync(path('out', 'report.html'), 'utf8')

describe('report', () => {
  it('writes the page beside the report, and prints its path', async () => {
    expect(await main(['report', '--out', path('out')])).toBe(0)
    expect(text.stdout).toBe(`${path('out', 'report.html')}\n`)
    expect(page()).toContain(report.run.id)
  })

  it('has what verify has found since', async () => {
    const [image] = report.verifications as [ImageVerification]
    const checks = image.checks.map((check) => ({ ...check, observed: 'seen later' }))
    await writeVerdict(path('out'), { ...image, checks }, 'questions')
    expect(await main(['report', path('out', 'report.json')])).toBe(0)
    expect(page()).toContain('seen later')
  })

  it('compares with an earlier report', async () => {
    const before = { ...report, run: { ...report.run, durationSeconds: 1, id: 'the-run-before' } }
    writeFileSync(path('before.json'), JSON.stringify(before))
    expect(await main(['report', path('out'), '--since', path('before.json')])).toBe(0)
    expect(page()).toContain('Since run the-run-before')
    expect(page()).toContain('<th scope="row">whole run</th>')
  })

  it.each([
    ['{}', 'is not a report of a run or a release that this program can read'],
    ['{', 'or it is not JSON'],
    [undefined, 'there is no report'],
  ])('refuses %j', async (content, message) => {
    if (content !== undefined) writeFileSync(path('other.json'), content)
    expect(await main(['report', path('other.json')])).toBe(2)
    expect(text.stderr).toContain(message)
  })

  it('adds nothing to a release, and writes its page elsewhere', async () => {
    mkdirSync(path('release'))
    writeFileSync(path('release', 'release.json'), JSON.stringify(makeSampleRelease(3)))
    expect(await main(['report', path('release')])).toBe(2)
    expect(text.stderr).toContain('has no report.html')
    expect(existsSync(path('release', 'report.html'))).toBe(false)
    expect(await main(['report', path('release'), '--to', path('elsewhere.html')])).toBe(0)
    expect(readFileSync(path('elsewhere.html'), 'utf8')).toContain('bookworm-x86_64')
  })

  it('gives out the page of a release only if it is what the record says', async () => {
    const page = path('release', 'report.html')
    mkdirSync(path('release'))
    writeFileSync(path('release', 'release.json'), JSON.stringify(makeSampleRelease(3)))
    writeFileSync(path('before.json'), JSON.stringify({ ...makeSampleRelease(3), release: '4.21.0' }))
    const since = ['--since', path('before.json')]
    expect(await main(['report', path('release'), '--to', path('plain.html')])).toBe(0)
    expect(await main(['report', path('release'), '--to', path('changes.html'), ...since])).toBe(0)
    renameSync(path('plain.html'), page)
    expect(await main(['report', path('release')])).toBe(0)
    expect(await main(['report', path('release'), ...since])).toBe(2)
    renameSync(path('changes.html'), page)
    expect(await main(['report', path('release')])).toBe(2)
    expect(await main(['report', path('release'), ...since])).toBe(0)
    appendFileSync(page, '<script>alert(1)</script>')
    expect(await main(['report', path('release'), ...since])).toBe(2)
    expect(text.stderr).toContain(`${page} is not the page that this version makes from release.json`)
    rmSync(page)
    execFileSync('mkfifo', [page])
    expect(await main(['report', path('release'), ...since])).toBe(2)
  })

  it('does not compare a run with a release', async () => {
    writeFileSync(path('release.json'), JSON.stringify(makeSampleRelease(3)))
    expect(await main(['report', path('out'), '--since', path('release.json')])).toBe(2)
    expect(text.stderr).toContain('they cannot be compared')
  })

  it('opens the page, or says that it cannot', async () => {
    mkdirSync(path('bin'))
    writeFileSync(path('bin', 'xdg-open'), `#!/bin/sh\nprintf %s "$1" >${path('opened')}\n`)
    chmodSync(path('bin', 'xdg-open'), 0o755)
    vi.stubEnv('PATH', `${path('bin')}:${process.env.PATH}`)
    expect(await main(['report', path('out'), '--open'])).toBe(0)
    expect(readFileSync(path('opened'), 'utf8')).toBe(path('out', 'report.html'))
    writeFileSync(path('bin', 'xdg-open'), '#!/bin/sh\nexit 3\n')
    expect(await main(['report', path('out'), '--open'])).toBe(3)
    expect(text.stderr).toContain('xdg-open could not open a browser')
  })
})
