/** Failures that the real installer comes to when it has all its own packages: some minutes later. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import type { InstallerMedium } from '../../src/installers/debian-installer/netboot.ts'
import type { InstallerPhase } from '../../src/installers/debian-installer/phases.ts'
import { expectHalt, type LiveRun, preseedOf, runUntilFailure, tinyImage, tryNetboot } from './live.ts'
import { findUdebs, type UdebSource } from './udeb-source.ts'

let folder: string
let image: ResolvedImage
let source: UdebSource | string
let medium: InstallerMedium | string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-installer-'))
  const tiny = await tinyImage()
  medium = await tryNetboot(tiny)
  source = await findUdebs(tiny, folder)
  const mirror = typeof source === 'string' ? {} : source.mirror
  image = { ...tiny, mirror: { ...tiny.mirror, ...mirror } }
})

afterAll(async () => {
  if (typeof source === 'object') source.close()
  await rm(folder, { recursive: true, force: true })
})

function require(context: TestContext): InstallerMedium {
  // Skipped without a mirror that has the installer and its packages.
  if (typeof source === 'string') return context.skip(`no udebs to install with: ${source}`)
  // Skipped likewise without its medium.
  return typeof medium === 'string' ? context.skip(`no installer to boot: ${medium}`) : medium
}

/** Runs it on the image, with a preseed that is changed. */
function runChanged(
  context: TestContext,
  change?: (text: string) => string,
  onPhase?: (phase: InstallerPhase) => void,
): Promise<LiveRun> {
  return runUntilFailure({
    image,
    medium: require(context),
    preseed: preseedOf(image, change),
    limitSeconds: 2400,
    ...(onPhase === undefined ? {} : { onPhase }),
  })
}

describe('the real installer, with all its packages', () => {
  it('with a disk that is not there', async (context) => {
    const run = await runChanged(context, (text) => text.replace('/dev/vda', '/dev/vdz'))
    expectHalt(run, 'installer-no-disk', 'partitioning')
  })

  it('with partitions that do not fit', async (context) => {
    const run = await runChanged(context, (text) => text.replace(/\d+ \d+ -1 ext4/, '9000 9000 -1 ext4'))
    expect(run.error.code, run.syslog).toBe('installer-recipe-skipped')
    expect(run.error.message).toContain('too small for expert recipe')
    expect(run.left, 'left running').toBe(0)
  })

  it('with a package that nobody knows', async (context) => {
    const run = await runChanged(context, (text) =>
      text.replace(/(pkgsel\/include string) /, '$1 no-such-package '),
    )
    expectHalt(run, 'installer-package-unknown', 'packages')
    expect(run.error.message).toContain('no-such-package')
  })

  // The last: there is no mirror any more.
  it('with a mirror that goes down meanwhile', async (context) => {
    const run = await runChanged(context, undefined, (phase) => {
      if (phase === 'base system' && typeof source !== 'string') source.close()
    })
    expectHalt(run, 'installer-mirror-unusable', 'base system')
    expect(run.error.message).toContain('ECONNREFUSED')
  })
})
