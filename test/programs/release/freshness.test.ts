/** What `release` says about images that are older than the archives. */

import { readFileSync } from 'node:fs'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { builtMirror, builtWords, makeBuilt } from '../../support/built.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const programs = ['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img', 'gpg', 'gpgv', 'xz']

const text = useOutput()
beforeEach(() => builtMirror.publishEmpty())
afterAll(() => builtMirror.close())

const release = (...words: string[]) => {
  text.clear()
  return main(['release', ...builtWords, '--out', path('out'), ...words])
}
const record = () => JSON.parse(readFileSync(path('out', 'release', 'release.json'), 'utf8')) as ReleaseRecord
const waiver = (until: string) => [
  '--set',
  `freshness.waivers=[{accepts: glibc, reason: nothing here uses it, until: '${until}'}]`,
]

describeWith(programs, 'a release of an image', () => {
  it('that lacks a security update is refused, unless that is waived until a day that is not over', async () => {
    await makeBuilt(path('out'))
    builtMirror.publish('trixie-security', { packages: { 'libc6/glibc': '2.41-12+deb13u1' } })
    expect(await release()).toBe(4)
    expect(text.stderr).toContain(
      'outdated: trixie-x86_64: security updates are missing: libc6 2.41-12 → 2.41-12+deb13u1',
    )
    expect(await release(...waiver('2020-01-01'))).toBe(4)
    expect(text.stderr).toContain('the waiver of glibc ended on 2020-01-01')
    expect(await release(...waiver('2999-12-31')), text.stderr).toBe(0)
    const { variants, exceptions } = record()
    expect(exceptions).toEqual([])
    expect(variants[0]?.freshness).toMatchObject({
      updates: [{ name: 'libc6', source: 'glibc', security: true }],
      waived: [{ accepts: 'glibc', reason: 'nothing here uses it', until: '2999-12-31' }],
    })
    const notes = readFileSync(path('out', 'release', 'RELEASE_NOTES.md'), 'utf8')
    expect(notes).toContain('accepted until 2999-12-31: glibc, because nothing here uses it')
    expect(await release('--allow', 'outdated'), text.stderr).toBe(0)
    expect(record().exceptions).toMatchObject([{ kind: 'outdated' }])
  })

  it('that lacks another update is made, and its record lists it', async () => {
    await makeBuilt(path('out'))
    builtMirror.publish('trixie', { packages: { libc6: '2.42-1' } })
    expect(await release(), text.stderr).toBe(0)
    expect(record().variants[0]?.freshness).toMatchObject({
      updates: [{ name: 'libc6', security: false }],
      waived: [],
    })
  })

  it('whose layer 0 is older than asked for is refused, with its day', async () => {
    await makeBuilt(path('out'))
    expect(await release('--max-age', '1')).toBe(4)
    expect(text.stderr).toMatch(
      /outdated: trixie-x86_64: layer 0 is from 2026-01-01, \d+ days old; at most 1 are allowed/,
    )
    expect(await release('--max-age', '99999'), text.stderr).toBe(0)
    expect(await release('--set', 'freshness.maximumAgeDays=1')).toBe(4)
    expect(await release('--max-age', 'old')).toBe(2)
  })

  it('is refused where the archives cannot be asked, unless that is allowed', async () => {
    await makeBuilt(path('out'))
    const nowhere = ['debian', 'security'].flatMap((name) => [
      '--set',
      `freshness.${name}=http://127.0.0.1:9/x`,
    ])
    expect(await release(...nowhere)).toBe(4)
    expect(text.stderr).toContain(
      'unchecked: trixie-x86_64: missing security updates are not known: cannot reach',
    )
    expect(await release(...nowhere, '--allow', 'unchecked'), text.stderr).toBe(0)
    expect(record().variants[0]?.freshness).toBeNull()
  })
})
