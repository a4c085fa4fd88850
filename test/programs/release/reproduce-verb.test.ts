/** What `reproduce` refuses before it builds anything. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { beforeEach, expect, it } from 'vitest'
import type { ReleaseRecord } from '../../../src/release/record.ts'
import { systemvmImage } from '../../e2e/program.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const git = (...words: string[]) =>
  execFileSync(
    'git',
    ['-C', path('checkout'), '-c', 'user.name=T', '-c', 'user.email=t@example.org', ...words],
    {
      encoding: 'utf8',
    },
  ).trim()

/** Writes the record of a release that was built from this, with another name for the target kvm. */
function writeRelease(source: ReleaseRecord['source'], kvm = 'kvm'): void {
  const sample = makeSampleRelease(3)
  const text = JSON.stringify({ ...sample, source, variants: sample.variants.slice(0, 1) })
  writeFileSync(path('release.json'), text.replaceAll('"target":"kvm"', `"target":${JSON.stringify(kvm)}`))
}

/** The exit code, and what is said. */
async function reproduce(...more: string[]): Promise<readonly [code: number | undefined, said: string]> {
  const words = ['--pipeline', path('checkout/pipeline.ts'), '--out', path('out')]
  const { exitCode, stderr } = await systemvmImage(['reproduce', path('release.json'), ...words, ...more], 60)
  return [exitCode, stderr]
}

describeWith(['git'], 'a release is not built again', () => {
  beforeEach(() => {
    mkdirSync(path('checkout'))
    git('init', '--quiet')
    writeFileSync(path('checkout/pipeline.ts'), `export { default } from ${JSON.stringify(tinyPipeline)}\n`)
    git('add', '.')
    git('commit', '--quiet', '--message', 'A pipeline')
  })

  it('if nobody knows what it was built from', async () => {
    writeRelease(null)
    expect(await reproduce()).toEqual([2, expect.stringContaining('was built from no known commit')])
  })

  it('if it was built from files that no commit has', async () => {
    writeRelease({ commit: git('rev-parse', 'HEAD'), changed: ['pipeline.ts'] })
    expect(await reproduce()).toEqual([2, expect.stringContaining('a checkout with changes: pipeline.ts')])
  })

  it('from another commit, or from files that this one has not', async () => {
    const none = '0'.repeat(40)
    writeRelease({ commit: none, changed: [] })
    const [exitCode, said] = await reproduce()
    expect(exitCode).toBe(2)
    expect(said).toContain(`built from commit ${none}, but this is ${git('rev-parse', 'HEAD')}`)
    expect(said).toContain(`git -C checkout checkout ${none}`)
    writeRelease({ commit: git('rev-parse', 'HEAD'), changed: [] })
    writeFileSync(path('checkout/stray.ts'), '')
    expect(await reproduce()).toEqual([2, expect.stringContaining('this checkout has changes: stray.ts')])
  })

  it('by a command of somebody else, or for a target of another program', async () => {
    const commit = 'f'.repeat(40)
    writeRelease({ commit, changed: [], repository: "x'; touch /tmp/pwned; '" })
    const [, said] = await reproduce()
    expect(said).toContain("git clone -- 'x'\\''; touch /tmp/pwned; '\\''' checkout")
    writeRelease({ commit: '$(touch x)', changed: [] })
    expect((await reproduce())[1]).toContain('was built from no known commit')
    writeRelease({ commit: git('rev-parse', 'HEAD'), changed: [] }, 'floppy')
    expect(await reproduce()).toEqual([
      2,
      expect.stringContaining('this program makes no file for the target "floppy"'),
    ])
  })

  it('and does not count without the keys of those who have built it', async () => {
    writeRelease(null)
    const words = ['release', 'verify', path(), '--rebuilds', path('checkout')]
    const { exitCode, stderr } = await systemvmImage(words, 60)
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringContaining('--rebuilds and --rebuilders must be given together'),
    ])
  })

  it('with other settings, which other keys show', async () => {
    writeRelease({ commit: git('rev-parse', 'HEAD'), changed: [] })
    const [exitCode, said] = await reproduce()
    expect(exitCode).toBe(2)
    expect(said).toMatch(
      /trixie-x86_64 was built with other settings: \S+ is made from layer [0-9a-f]{12}, which/,
    )
    expect(await reproduce('--variant', 'bookworm-x86_64')).toEqual([
      2,
      expect.stringContaining('bookworm-x86_64'),
    ])
    expect(readdirSync(path())).not.toContain('out')
  })
})
