/** The system VM template itself: built and verified if it was not, and what the report says of both. */

import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { assertionIds } from '../../src/config/contract.ts'
import type { Target } from '../../src/config/image.ts'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import type { Report } from '../../src/report/report.ts'
import { unchecked } from '../../src/verify/registry.ts'
import { scenesOfTarget } from '../../src/verify/scenes.ts'
import { readReport, systemvmImage } from './program.ts'

// The user's own output folder, so that an image that was just built is not built again.
const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const variant = process.env.SYSTEMVM_TEST_VARIANT ?? 'trixie-x86_64'
let image: ResolvedImage
let report: Report

beforeAll(async () => {
  const { images } = await loadPipeline(defaultPipeline, [])
  image = images.find((candidate) => candidate.variant === variant) as ResolvedImage
  const built = await systemvmImage(['build', '--variant', variant, '--out', outFolder], 3000)
  expect(built.exitCode, built.stderr).toBe(0)
  report = await readReport(outFolder)
})

describe('the report', () => {
  it('has the fourteen stages, each with its build_time, and checksums of all that it promised', () => {
    expect(report.stages.map(({ name }) => name)).toEqual([
      'build_time',
      'apt_upgrade',
      'configure_grub',
      'configure_locale',
      'configure_login',
      'configure_networking',
      'configure_acpid',
      'install_systemvm_packages',
      'configure_conntrack',
      'configure_systemvm_services',
      'authorized_keys',
      'configure_persistent_config',
      'cleanup',
      'zerodisk',
    ])
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
  const verifications = () => report.verifications ?? []
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
    expect(report.unusedWaivers).toEqual([])
  })

  it('has seen each check of the contract pass somewhere, but those that nobody can ask here', () => {
    const all = verifications().flatMap(({ checks }) => checks)
    const seen = new Set(all.filter(({ status }) => status !== 'skipped').map(({ id }) => id))
    const unasked = assertionIds.filter((id) => !seen.has(id))
    expect(unasked).toEqual(unchecked.map(({ id }) => id))
  })

  it('has booted every file, and the one for KVM in every role', () => {
    for (const { target, scenes } of verifications()) {
      expect(
        scenes.map(({ name }) => name),
        `${target}`,
      ).toEqual(scenesOfTarget[target as Target])
      for (const scene of scenes) expect(scene.loginSeconds, `${target} ${scene.name}`).toBeGreaterThan(0)
    }
    expect(checksOf('kvm').filter(({ id }) => id === 'C4').length).toBeGreaterThanOrEqual(9)
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
