/** Nothing that a layer's record says gets into the arguments of a program, whoever wrote it. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { readBootFiles } from '../../../src/disk/boot-files.ts'
import { placePartitions } from '../../../src/disk/layout.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { createOverlays } from '../../../src/stages/sealer.ts'
import { type Layer, parseLayer } from '../../../src/store/layer-record.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { mutationsOf } from '../../support/mutations.ts'
import { sampleImage } from '../../support/pipelines.ts'

const started = vi.hoisted(() => [] as (readonly string[])[])
const record = vi.hoisted(() => (program: string, words: readonly string[]) => {
  // The pipeline's own scripts are looked at.
  if (program === 'sh') return { exitCode: 0, stderr: '' }
  started.push([program, ...words])
  throw new Error(`${program} is not started in this test`)
})
vi.mock('../../../src/host/execa.ts', () => ({ execa: record, bytesOf: record }))
vi.mock('node:child_process', async (original) => ({
  ...(await original<typeof import('node:child_process')>()),
  spawn: record,
}))

const path = useFolder()
let image: ResolvedImage

beforeEach(async () => {
  image = { ...(await sampleImage(path())), installer: 'debian-installer' }
  mkdirSync(path('store'))
})

/** What a build does with a base that it finds: programs read its kernel, and make the next layer's disk. */
async function useBase(): Promise<readonly (readonly string[])[]> {
  started.length = 0
  const store = openStore(path('store'))
  const { base, layout, stages } = await planImage(image, store)
  if (base.cached === undefined) return []
  await readBootFiles(store.disk(base.key), layout, path('boot')).catch(() => undefined)
  await createOverlays({ ...store, remove: async () => undefined }, stages, layout.sizeBytes).catch(
    () => undefined,
  )
  return [...started]
}

async function sealBase(): Promise<{ readonly file: string; readonly layer: Layer }> {
  const store = openStore(path('store'))
  const { base } = await planImage(image, store)
  writeFileSync(store.disk(base.key), 'a disk')
  const layer = await store.commit({
    key: base.key,
    name: base.name,
    parent: null,
    parts: base.parts,
    createdAt: '2026-01-02T03:04:05.000Z',
    buildTimeSeconds: 1,
    log: 'runs/1/base.log',
    artifacts: [{ path: '/etc/motd', type: 'file', sha256: base.key, sizeBytes: 1, mode: '644' }],
    packages: {
      added: [{ name: 'dpkg', version: '1.22.21' }],
      removed: [],
      upgraded: [{ name: 'libc6:amd64', from: '2.41-1', to: '2.41-2' }],
    },
    layout: placePartitions(image.disk, 'as an installer has chosen'),
    installerFiles: { linux: base.key },
    bytesWritten: 1,
    heldSeconds: 0.5,
    tools: { packer: '1.6.6' },
    origin: { registry: 'ghcr.io/a/b', pulledAt: '2026-01-02T03:04:05.000Z', signedBy: 'someone' },
  })
  return { file: path('store', `${base.key}.json`), layer }
}

describe('a record of a base', () => {
  it('decides where programs look for partitions, in numbers that are on the disk', async () => {
    await sealBase()
    const words = (await useBase()).flat().join(' ')
    expect(words).toContain('qemu-img convert')
    expect(words).toContain(`qemu-img create`)
    expect(words).toContain(`${1260 * 1024 ** 2}`)
  })

  it('that was changed in any field starts no program otherwise than before', async () => {
    const { file } = await sealBase()
    const usual = JSON.stringify(await useBase())
    let count = 0
    let refused = 0
    const different: string[] = []
    for (const { title, record: changed } of mutationsOf(JSON.parse(readFileSync(file, 'utf8')))) {
      count += 1
      const isRefused = parseLayer(changed) === undefined
      if (isRefused) refused += 1
      // What is no layer is none for a plan: a few of them show it.
      if (isRefused && refused % 100 !== 0) continue
      writeFileSync(file, JSON.stringify(changed))
      const found = JSON.stringify(await useBase())
      if (isRefused) expect([title, found]).toEqual([title, '[]'])
      else if (found !== '[]' && found !== usual && !isInsideDisk(title)) different.push(title)
    }
    expect(different).toEqual([])
    expect(count).toBeGreaterThan(2000)
    expect(refused).toBeGreaterThan(0.9 * count)
  })

  it.each([
    ['a bit that is no JSON', '{'],
    ['nothing', ''],
    ['a list', '[]'],
    ['null', 'null'],
    ['a value a thousand levels deep', `{"parts":{"a":${'['.repeat(1000)}${']'.repeat(1000)}}}`],
  ])('that is %s is none', async (_case, text) => {
    const { file } = await sealBase()
    writeFileSync(file, text)
    expect(await useBase()).toEqual([])
  })

  it('whose partitions are not those of the plan is not used, and the plan says so', async () => {
    const { file, layer } = await sealBase()
    const layout = placePartitions({ ...image.disk, sizeMiB: 2520 }, 'another')
    const changed = JSON.parse(JSON.stringify({ ...layer, layout }))
    expect(parseLayer(changed)).toBeDefined()
    writeFileSync(file, JSON.stringify(changed))
    const { base } = await planImage(image, openStore(path('store')))
    expect(base).toMatchObject({ cached: undefined, reason: 'its partitions do not fit the disk' })
  })

  it('does not say where partitions are if the plan has placed them', async () => {
    image = { ...image, installer: 'bootstrap' }
    const { layer } = await sealBase()
    const { base, layout } = await planImage(image, openStore(path('store')))
    expect(base.cached).toEqual(layer)
    expect(layout).toEqual(placePartitions(image.disk, base.key))
  })
})

/** A partition may be anywhere that the disk has room for it; programs then get that number. */
function isInsideDisk(title: string): boolean {
  return /^layout\.partitions\.\d\.(startSector|sectors): \d+$/.test(title)
}
