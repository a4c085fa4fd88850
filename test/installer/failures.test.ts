/** The ways in which the real installer comes to a halt early, each provoked for real, and named within ten seconds. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import type { InstallerMedium } from '../../src/installers/debian-installer/netboot.ts'
import { expectHalt, type LiveRun, preseedOf, runUntilFailure, tinyImage, tryNetboot } from './live.ts'
import { serveMirrorWithoutUdebs } from './udeb-repository.ts'

let image: ResolvedImage
let medium: InstallerMedium | string
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-installer-'))
  image = await tinyImage()
  medium = await tryNetboot(image)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** The kernel has no system to start then, and nothing else to do than to panic. */
async function brokenInitrd(): Promise<string> {
  const file = join(folder, 'initrd')
  await writeFile(file, 'no archive')
  return file
}

/** Without netboot files nothing can be tried; in CI that is a fault. */
function requireMedium(context: TestContext): InstallerMedium {
  if (typeof medium !== 'string') return medium
  if (process.env.CI === 'true') throw new Error(medium)
  // Skipped without a mirror whose installer is the one that its signed lists vouch for.
  return context.skip(`no installer to boot: ${medium}`)
}

describe('the real installer', () => {
  it('with an initrd that is none', async (context) => {
    const broken = { ...requireMedium(context), initrd: await brokenInitrd() }
    const run = await runUntilFailure({ image, medium: broken, limitSeconds: 400 })
    expect(run.error.code, run.error.message).toBe('guest-panicked')
    expect(run.error.message).toContain('Unable to mount root fs')
    expect(run.phases).toEqual(['network'])
    expect(run.left, 'left running').toBe(0)
  })

  it('without a preseed', async (context) => {
    const run = await runUntilFailure({ image, medium: requireMedium(context), limitSeconds: 400 })
    expectHalt(run, 'installer-preseed-missing', 'preseed')
  })

  it('with a preseed that is none', async (context) => {
    const preseed = () => 'd-i\n'
    const run = await runUntilFailure({ image, medium: requireMedium(context), preseed, limitSeconds: 400 })
    expectHalt(run, 'installer-preseed-syntax', 'preseed')
  })

  it('with a locale that nobody speaks', async (context) => {
    const run = await runImage({ ...image, locale: 'qq_QQ.UTF-8' }, context)
    expectHalt(run, 'installer-locale-unknown', 'mirror')
  })

  it('with a mirror that is down', async (context) => {
    // Nobody listens there.
    const down = 'http://127.0.0.1:2/debian'
    const run = await runImage({ ...image, mirror: { ...image.mirror, debian: down } }, context)
    expectHalt(run, 'installer-mirror-unusable', 'mirror')
    expect(run.error.message).toContain('ECONNREFUSED')
  })

  it('with a suite that the mirror does not have', async (context) => {
    const run = await runImage(image, context, (text) =>
      text.replace(/(mirror\/suite string).*/, '$1 nosuch'),
    )
    expectHalt(run, 'installer-mirror-lacks-suite', 'mirror')
  })

  it('with a mirror that leaves out udebs', async (context) => {
    const mirror = await serveMirrorWithoutUdebs(image.mirror.debian)
    try {
      const run = await runImage({ ...image, mirror: { ...image.mirror, debian: mirror.url } }, context)
      expectHalt(run, 'installer-udeb-missing', 'components')
      expect(run.error.message).toMatch(/: \S+\.udeb$/)
      expect(run.error.hint).toContain('--installer bootstrap')
    } finally {
      mirror.close()
    }
  })
})

function runImage(
  changed: ResolvedImage,
  context: TestContext,
  change?: (text: string) => string,
): Promise<LiveRun> {
  return runUntilFailure({
    image: changed,
    medium: requireMedium(context),
    preseed: preseedOf(changed, change),
    limitSeconds: 600,
  })
}
