/** Failures that the real installer comes to when it has all its own packages: some minutes later. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import type { InstallerMedium } from '../../src/install/netboot.ts'
import { expectHalt, preseedOf, runUntilFailure, tinyImage, tryNetboot } from './live.ts'
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
  if (typeof source !== 'string') source.close()
  await rm(folder, { recursive: true, force: true })
})

function require(context: TestContext): InstallerMedium {
  if (typeof source === 'string') return context.skip(`no udebs to install with: ${source}`)
  return typeof medium === 'string' ? context.skip(`no installer to boot: ${medium}`) : medium
}

describe('the real installer, with all its packages', () => {
  it('with a disk that is not there', async (context) => {
    const preseed = preseedOf(image, (text) => text.replace('/dev/vda', '/dev/vdz'))
    const run = await runUntilFailure(image, require(context), preseed, 1200)
    expectHalt(run, 'installer-no-disk', 'partitioning')
  })

  it('with partitions that do not fit', async (context) => {
    const preseed = preseedOf(image, (text) => text.replace(/\d+ \d+ -1 ext4/, '9000 9000 -1 ext4'))
    const run = await runUntilFailure(image, require(context), preseed, 1200)
    expect(run.error.code, run.syslog).toBe('installer-recipe-skipped')
    expect(run.error.message).toContain('too small for expert recipe')
    expect(run.left, 'left running').toBe(0)
  })
})
