/** `plan` and `build --refresh` on layers that are older than the archives. */

import { mkdirSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { loadPipeline } from '../../../src/config/load.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { markOutput, outFolderAt } from '../../../src/host/out-folder.ts'
import { refreshed } from '../../../src/make/freshness.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { layersOf } from '../../../src/store/chain.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { seal } from '../../support/layers.ts'
import { startMirror, type TestMirror } from '../../support/mirror.ts'
import { useOutput } from '../../support/output.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
let mirror: TestMirror
let store: Store
const text = useOutput()

const words = (...more: string[]) => [
  '--pipeline',
  tinyPipeline,
  '--out',
  path('out'),
  ...mirror.words,
  ...more,
]
const plan = (...more: string[]) => main(['plan', ...words(...more)])

async function loadImage(over: Partial<ResolvedImage> = {}): Promise<ResolvedImage> {
  const { debian, security, keyring } = mirror
  const { images } = await loadPipeline(tinyPipeline, [])
  const image = images[0] as ResolvedImage
  return { ...image, freshness: { ...image.freshness, debian, security, keyring }, ...over }
}

/** Layers of the whole pipeline, with an old nano in the base. */
async function fillStore(): Promise<Plan> {
  const image = await loadImage()
  const [base, ...above] = layersOf(await planImage(image, store))
  if (base === undefined) throw new Error('a plan has a base')
  const packages = { added: [{ name: 'nano', version: '8.4-1' }], removed: [], upgraded: [] }
  await store.adopt({ ...(await seal(base, store)), packages })
  for (const layer of above) await seal(layer, store)
  return planImage(image, store)
}

describeWith(['gpg', 'gpgv', 'xz'], 'layers that are older than the archives', () => {
  beforeAll(async () => {
    mirror = await startMirror()
  })
  afterAll(() => mirror.close())
  beforeEach(async () => {
    mkdirSync(outFolderAt(path('out')).store, { recursive: true })
    await markOutput(path('out'))
    store = openStore(outFolderAt(path('out')).store)
    mirror.publishEmpty()
  })

  it('are named by a plan, with what brings the newer packages', async () => {
    await fillStore()
    expect(await plan()).toBe(0)
    expect(text.stdout).toContain('updates: none; every package is as new as in the archives of 2')
    mirror.publish('trixie-security', { packages: { nano: '8.4-1+deb13u1' } })
    expect(await plan()).toBe(0)
    expect(text.stderr).toMatch(
      /1 package is newer in the archives of \S+; security updates: nano 8\.4-1 → 8\.4-1\+deb13u1/,
    )
    expect(text.stderr).toContain('build --refresh rebuilds every layer')
    text.clear()
    expect(await plan('--json')).toBe(0)
    expect(JSON.parse(text.stdout)).toMatchObject([
      { freshness: { status: 'outdated', updates: [{ name: 'nano', security: true }] } },
    ])
  })

  it('are planned all the same where the archives cannot be asked', async () => {
    await fillStore()
    const nowhere = ['debian', 'security'].flatMap((name) => [
      '--set',
      `freshness.${name}=http://127.0.0.1:9/x`,
    ])
    expect(await plan(...nowhere)).toBe(0)
    expect(text.stdout).toContain('updates: not known: cannot reach 127.0.0.1')
  })

  it('are not asked about where layer 0 will be made anyway', async () => {
    mirror.asked.length = 0
    expect(await plan('--json')).toBe(0)
    expect(JSON.parse(text.stdout)).toMatchObject([{ freshness: null }])
    expect(mirror.asked).toEqual([])
  })

  const refresh = async (image: ResolvedImage, before: Plan) => {
    const said: string[] = []
    const after = await refreshed(
      before,
      {
        image,
        outFolder: path('out'),
        planning: {},
        refresh: true,
        command: [],
        emit: (event) => {
          if (event.kind === 'note') said.push(event.text)
        },
        signal: new AbortController().signal,
      },
      store,
    )
    return {
      reused: layersOf(after).filter(({ cached }) => cached !== undefined).length,
      said: said.join('\n'),
    }
  }

  it('are made again from layer 0 by --refresh exactly when something is newer', async () => {
    const before = await fillStore()
    const image = await loadImage()
    expect(await refresh(image, before)).toMatchObject({ reused: layersOf(before).length })
    mirror.publish('trixie', { packages: { nano: '8.5-1' } })
    const { reused, said } = await refresh(image, before)
    expect(reused).toBe(0)
    expect(said).toContain('none of them a security update; every layer is rebuilt')
  })

  it('stay with --refresh where another installation would bring the same packages', async () => {
    const before = await fillStore()
    mirror.publish('trixie', { packages: { nano: '8.5-1' } })
    const image = await loadImage()
    const pinned = { ...image, mirror: { ...image.mirror, snapshot: '20260101T000000Z' } }
    const { reused, said } = await refresh(pinned, before)
    expect(reused).toBe(layersOf(before).length)
    expect(said).toContain(
      'packages are pinned to the snapshot 20260101T000000Z: to get them, use a later one',
    )
    expect((await refresh({ ...image, installer: 'disk-image' }, before)).said).toContain(
      'set installer.image to a newer one',
    )
  })

  it('make --refresh fail where the archives cannot be asked', async () => {
    const before = await fillStore()
    const image = await loadImage()
    const freshness = { ...image.freshness, debian: 'http://127.0.0.1:9/x' }
    await expect(refresh({ ...image, freshness }, before)).rejects.toMatchObject({
      code: 'mirror-unreachable',
    })
  })
})
