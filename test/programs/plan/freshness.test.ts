import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { markOutput } from '../../../src/host/out-folder.ts'
import { judgeFreshness, lookAtFreshness } from '../../../src/plan/freshness.ts'
import { useFolder } from '../../support/folder.ts'
import { startMirror, type TestMirror } from '../../support/mirror.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
let mirror: TestMirror

const packages = new Map([
  ['libssl3t64', '3.5.1-1'],
  ['libc6:amd64', '2.41-12'],
  ['nano', '8.4-1'],
])

type Image = Pick<ResolvedImage, 'suite' | 'debianArch' | 'mirror' | 'freshness'>

function imageOf(over: Partial<Image['mirror']> = {}, freshness: Partial<Image['freshness']> = {}): Image {
  const { debian, security, keyring } = mirror
  return {
    suite: 'trixie',
    debianArch: 'amd64',
    mirror: { debian, security, keyring, components: ['main'], ...over },
    freshness: { waivers: [], ...freshness },
  }
}

const judge = (image = imageOf()) => judgeFreshness({ image, packages, outFolder: path('out') })

/** A mirror for a block of tests, and an output folder for each of them. */
function useMirror(): void {
  beforeAll(async () => {
    mirror = await startMirror()
  })
  afterAll(() => mirror.close())
  beforeEach(async () => {
    mkdirSync(path('out'))
    await markOutput(path('out'))
  })
}

describeWith(['gpg', 'gpgv', 'xz'], 'an image compared with its archives', () => {
  useMirror()
  beforeEach(() => {
    mirror.publishEmpty()
    mirror.asked.length = 0
  })

  it('is current where no archive has anything newer', async () => {
    mirror.publish('trixie', { packages: { 'libssl3t64/openssl': '3.5.1-1', libc6: '2.41-11', other: '9' } })
    expect(await judge()).toMatchObject({
      status: 'current',
      updates: [],
      archives: [
        { suite: 'trixie', url: mirror.debian },
        { suite: 'trixie-updates', url: mirror.debian },
        { suite: 'trixie-security', url: mirror.security },
      ],
    })
  })

  it('is outdated by each newer version, those of the security archive first', async () => {
    mirror.publish('trixie', { packages: { 'libssl3t64/openssl': '3.5.5-1', libc6: '2.41-12+deb13u1' } })
    mirror.publish('trixie-security', { packages: { 'libssl3t64/openssl': '3.5.4-1~deb13u2' } })
    expect(await judge()).toMatchObject({
      status: 'outdated',
      updates: [
        {
          name: 'libssl3t64',
          source: 'openssl',
          installed: '3.5.1-1',
          available: '3.5.5-1',
          suite: 'trixie',
          security: true,
        },
        { name: 'libc6', source: 'libc6', available: '2.41-12+deb13u1', security: false },
      ],
    })
  })

  it('asks for indexes once, and for Release files each time', async () => {
    await judge()
    expect(mirror.asked.filter((one) => one.includes('Packages'))).toHaveLength(3)
    mirror.asked.length = 0
    await judge()
    expect(mirror.asked.map((one) => one.replace(/.*\//, ''))).toEqual([
      'InRelease',
      'InRelease',
      'InRelease',
    ])
  })

  it('uses nothing of the cache that the Release file does not list', async () => {
    mirror.publish('trixie-security', { packages: { nano: '8.4-1+deb13u1' } })
    await judge()
    const cache = path('out', 'cache', 'archives')
    for (const name of readdirSync(cache).filter((one) => one.includes('main'))) {
      const { length } = readFileSync(path('out', 'cache', 'archives', name))
      writeFileSync(path('out', 'cache', 'archives', name), Buffer.alloc(length, 1))
    }
    expect(await judge()).toMatchObject({ updates: [{ name: 'nano' }] })
  })

  it('writes nothing where nothing was ever built', async () => {
    await judgeFreshness({ image: imageOf(), packages, outFolder: path('none') })
    expect(existsSync(path('none'))).toBe(false)
  })

  it('is compared with Debian’s own archives where a snapshot pins the packages, or with those that are named', async () => {
    const { debian, security, keyring } = mirror
    const pinned = {
      debian: 'http://127.0.0.1:9/snapshot',
      security: 'http://127.0.0.1:9/snapshot',
      snapshot: '20260101T000000Z',
    }
    mirror.publish('trixie-security', { packages: { nano: '8.4-1+deb13u1' } })
    expect(await judge(imageOf(pinned, { debian, security, keyring }))).toMatchObject({
      updates: [{ name: 'nano' }],
    })
  })

  it('is not taken for current where an archive has no index that can be read', async () => {
    mirror.publish('trixie-security')
    const image = imageOf({ components: ['contrib'] })
    await expect(judgeFreshness({ image, packages, outFolder: path('out') })).rejects.toMatchObject({
      code: 'mirror-component-missing',
    })
  })
})

describeWith(['gpg', 'gpgv', 'xz'], 'an archive that goes back', () => {
  const day = 86_400_000
  const at = (daysAgo: number) => new Date(Date.now() - daysAgo * day)

  useMirror()

  it('is refused once a newer Release file of it was seen, and taken again when it is as new', async () => {
    mirror.publish('trixie-security', { date: at(30), packages: { nano: '1' } })
    const old = mirror.read('/security/dists/trixie-security/InRelease')
    await judge()
    mirror.publish('trixie-security', { date: at(1) })
    const recent = mirror.read('/security/dists/trixie-security/InRelease')
    await judge()
    mirror.serve('/security/dists/trixie-security/InRelease', old)
    await expect(judge()).rejects.toMatchObject({
      code: 'mirror-rolled-back',
      exitCode: 3,
      message: expect.stringContaining('has already served that of') as string,
    })
    mirror.serve('/security/dists/trixie-security/InRelease', recent)
    await expect(judge()).resolves.toBeDefined()
  })

  it('is not taken while it cannot be read what was seen', async () => {
    mirror.publish('trixie-security', { date: at(30) })
    const old = mirror.read('/security/dists/trixie-security/InRelease')
    mirror.publish('trixie-security', { date: at(1) })
    await judge()
    mirror.serve('/security/dists/trixie-security/InRelease', old)
    const cache = path('out', 'cache', 'archives')
    const name = readdirSync(cache).find((one) => /^trixie-security.*InRelease$/.test(one)) ?? ''
    rmSync(path('out', 'cache', 'archives', name))
    symlinkSync(name, path('out', 'cache', 'archives', name))
    await expect(judge()).rejects.toMatchObject({ code: 'unreadable', exitCode: 3 })
  })

  it('is not refused for a memory that no one has signed', async () => {
    mirror.publish('trixie-security', { date: at(1) })
    await judge()
    const cache = path('out', 'cache', 'archives')
    const name = readdirSync(cache).find((one) => /^trixie-security.*InRelease$/.test(one)) ?? ''
    const forged = mirror
      .read('/security/dists/trixie-security/InRelease')
      .toString()
      .replace(/^Date:.*$/m, 'Date: Sat, 01 Jan 2028 00:00:00 GMT')
    writeFileSync(path('out', 'cache', 'archives', name), forged)
    await expect(judge()).resolves.toBeDefined()
  })

  it('is not used past its Valid-Until', async () => {
    mirror.publish('trixie-security', { date: at(9), validUntil: at(2) })
    mkdirSync(path('new'))
    const image = imageOf()
    await expect(judgeFreshness({ image, packages, outFolder: path('new') })).rejects.toMatchObject({
      code: 'mirror-expired',
    })
  })
})

describe('a look at the archives', () => {
  beforeEach(() => {
    mirror = { debian: '', security: '', keyring: fileURLToPath(import.meta.url) } as TestMirror
  })

  const look = (url: string, patienceMs?: number) =>
    lookAtFreshness(
      { image: imageOf({ debian: url, security: url }), packages, outFolder: path('out') },
      patienceMs,
    )

  it('says that it does not know where none can be reached', async () => {
    expect(await look('http://127.0.0.1:9/debian')).toMatchObject({
      status: 'unknown',
      reason: expect.stringContaining('cannot reach 127.0.0.1') as string,
    })
  })

  it('waits only so long for one that never answers', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    expect(await look(`http://127.0.0.1:${port}/debian`, 300)).toMatchObject({
      status: 'unknown',
      reason: 'the archives did not answer within 0.3 s',
    })
    server.close()
  })
})
