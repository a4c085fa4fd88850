/** The ways in which the real installer comes to a halt early, each provoked for real, and named within ten seconds. */

import { beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import type { InstallerMedium } from '../../src/install/netboot.ts'
import { expectHalt, preseedOf, runUntilFailure, tinyImage, tryNetboot } from './live.ts'
import { serveMirrorWithoutUdebs } from './udeb-repository.ts'

let image: ResolvedImage
let medium: InstallerMedium | string

beforeAll(async () => {
  image = await tinyImage()
  medium = await tryNetboot(image)
})

/** Without netboot files nothing can be tried; in CI that is a fault. */
function requireMedium(context: TestContext): InstallerMedium {
  if (typeof medium !== 'string') return medium
  if (process.env.CI === 'true') throw new Error(medium)
  return context.skip(`no installer to boot: ${medium}`)
}

describe('the real installer', () => {
  it('without a preseed', async (context) => {
    const run = await runUntilFailure(image, requireMedium(context), undefined, 400)
    expectHalt(run, 'installer-preseed-missing', 'preseed')
  })

  it('with a preseed that is none', async (context) => {
    const run = await runUntilFailure(image, requireMedium(context), () => 'd-i\n', 400)
    expectHalt(run, 'installer-preseed-syntax', 'preseed')
  })

  it('with a locale that nobody speaks', async (context) => {
    const spoken = { ...image, locale: 'qq_QQ.UTF-8' }
    const run = await runUntilFailure(spoken, requireMedium(context), preseedOf(spoken), 400)
    expectHalt(run, 'installer-locale-unknown', 'mirror')
  })

  it('with a mirror that is down', async (context) => {
    // Nobody listens there.
    const down = { ...image, mirror: { ...image.mirror, debian: 'http://127.0.0.1:2/debian' } }
    const run = await runUntilFailure(down, requireMedium(context), preseedOf(down), 600)
    expectHalt(run, 'installer-mirror-unusable', 'mirror')
  })

  it('with a suite that the mirror does not have', async (context) => {
    const preseed = preseedOf(image, (text) => text.replace(/(mirror\/suite string).*/, '$1 nosuch'))
    const run = await runUntilFailure(image, requireMedium(context), preseed, 600)
    expectHalt(run, 'installer-mirror-lacks-suite', 'mirror')
  })

  it('with a mirror that leaves out udebs', async (context) => {
    const mirror = await serveMirrorWithoutUdebs(image.mirror.debian)
    try {
      const lacking = { ...image, mirror: { ...image.mirror, debian: mirror.url } }
      const run = await runUntilFailure(lacking, requireMedium(context), preseedOf(lacking), 600)
      expectHalt(run, 'installer-udeb-missing', 'components')
      expect(run.error.message).toMatch(/: \S+\.udeb$/)
      expect(run.error.hint).toContain('--installer bootstrap')
    } finally {
      mirror.close()
    }
  })
})
