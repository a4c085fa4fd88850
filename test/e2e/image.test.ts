/**
 * The system VM template itself: built if it was not, and verified: every file and its content, and a storage VM that
 * CloudStack starts. `SYSTEMVM_TEST_SCENES=all` boots every file, in every role, as `npm run verify:image` does.
 */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { assertionIds } from '../../src/config/contract.ts'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { unchecked } from '../../src/contract/registry.ts'
import { scenesOf } from '../../src/contract/scenes.ts'
import type { Report } from '../../src/report/report.ts'
import type { Verification } from '../../src/report/verification.ts'
import type { TargetName } from '../../src/targets/registry.ts'
import { readReport, systemvmImage } from './program.ts'

// The user's own output folder, so that an image that was just built is not built again.
const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const variant = process.env.SYSTEMVM_TEST_VARIANT ?? 'bookworm-x86_64'
const scenes = process.env.SYSTEMVM_TEST_SCENES ?? 'secstorage'
let image: ResolvedImage
let report: Report
let verification: Verification

beforeAll(async () => {
  const { images } = await loadPipeline(defaultPipeline, [])
  image = images.find((candidate) => candidate.variant === variant) as ResolvedImage
  const where = ['--variant', variant, '--out', outFolder]
  const built = await systemvmImage(['build', '--no-verify', ...where], 3000)
  expect(built.exitCode, built.stderr).toBe(0)
  report = await readReport(outFolder)
  const chosen = scenes === 'all' ? [] : ['--scenes', scenes]
  const verified = await systemvmImage(['verify', ...chosen, ...where], 3000)
  const [document = ''] = verified.stdout.split('\n')
  expect(document, verified.stderr).toMatch(/verification\.json$/)
  verification = JSON.parse(await readFile(document, 'utf8')) as Verification
})

describe('the report', () => {
  it('has every stage, each with its build_time, and checksums of all that it promised', () => {
    // The golden files say which stages the product has.
    expect(report.stages.map(({ name }) => name)).toEqual(image.stages.map(({ name }) => name))
    expect(report.stages.length).toBeGreaterThan(0)
    for (const stage of report.stages) {
      expect(stage.build_time, stage.name).toBeGreaterThan(0)
      const promised = image.stages.find(({ name }) => name === stage.name)?.leaves ?? []
      expect(
        stage.artifacts.map(({ path }) => path),
        stage.name,
      ).toEqual(promised)
      for (const { sha256, path } of stage.artifacts) expect(sha256, path).toMatch(/^[0-9a-f]{64}$/)
    }
  })

  it('finds every package of the stages installed before they ran', () => {
    const stage = report.stages.find(({ name }) => name === 'install_systemvm_packages')
    expect(stage?.packages.added).toEqual([])
  })
})

describe('the verification', () => {
  const verifications = () => verification.images
  const checksOf = (target: string) =>
    verifications().find((verification) => verification.target === target)?.checks ?? []

  it('has asked every file, and no check has failed that the pipeline does not waive', () => {
    expect(verifications().map(({ target }) => target)).toEqual(image.targets)
    const failed = verifications().flatMap(({ target, checks }) =>
      checks
        .filter(({ status }) => status === 'failed')
        .map(({ id, at, observed }) => `${target} ${id} (${at}): ${observed}`),
    )
    expect(failed).toEqual([])
    expect(verification.unusedWaivers).toEqual([])
  })

  // Skipped unless every scene was asked for: one scene alone does not ask all checks.
  it.runIf(scenes === 'all')(
    'has seen each check of the contract pass somewhere, but those that nobody can ask here',
    () => {
      const all = verifications().flatMap(({ checks }) => checks)
      const seen = new Set(all.filter(({ status }) => status !== 'skipped').map(({ id }) => id))
      const unasked = assertionIds.filter((id) => !seen.has(id))
      expect(unasked).toEqual(unchecked.map(({ id }) => id))
    },
  )

  it('has booted what was asked for: with all, every file, and the one for KVM in every role', () => {
    const asked = (name: string) => scenes === 'all' || scenes.split(',').includes(name)
    for (const { target, scenes: booted } of verifications()) {
      expect(
        booted.map(({ name }) => name),
        `${target}`,
      ).toEqual(scenesOf(target as TargetName).filter(asked))
      // A machine without a serial port has no prompt that can be waited for.
      for (const { name, loginSeconds, agentSeconds } of booted)
        expect(name === 'no-serial' ? agentSeconds : loginSeconds, `${target} ${name}`).toBeGreaterThan(0)
    }
    const ready = checksOf('kvm').filter(({ id, status }) => id === 'C4' && status === 'passed')
    expect(ready.length).toBeGreaterThanOrEqual(scenes === 'all' ? 9 : 1)
  })

  it('says how long first boot takes, and where the time goes', () => {
    const scene = verifications()
      .flatMap(({ scenes }) => scenes)
      .find(({ name }) => name === 'secstorage')
    expect(scene?.readySeconds).toBeGreaterThan(0)
    expect(scene?.startup).toMatch(/^Startup finished in /)
    expect(scene?.slowest?.length).toBeGreaterThan(3)
  })
})
