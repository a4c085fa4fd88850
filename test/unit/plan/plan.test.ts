import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { layersOf } from '../../../src/store/chain.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { chainOf, seal } from '../../support/layers.ts'
import { sampleImage, sound, threeStages } from '../../support/pipelines.ts'

const path = useFolder()
const store = () => openStore(path('store'))

/** Puts every layer of a plan into the store, as a build would. */
async function build(plan: Plan, into: Store): Promise<void> {
  mkdirSync(into.folder, { recursive: true })
  for (const layer of layersOf(plan)) await seal(layer, into)
}

/** What would be made, and why: `{second: 'script changed', third: 'a layer below changed'}`. */
function misses(plan: Plan): Record<string, string | undefined> {
  const made = layersOf(plan).filter(({ cached }) => cached === undefined)
  return Object.fromEntries(made.map(({ name, reason }) => [name, reason]))
}

describe('the final disk', () => {
  const planWith = async (over: Partial<Pipeline>, options = {}) =>
    planImage(await sampleImage(path(), { reproducible: true, ...over }), store(), options)

  it('is made from the last stage, whenever that or the date changes', async () => {
    const plan = await planWith({})
    expect(plan.final?.parent).toBe(plan.stages.at(-1)?.key)
    await build(plan, store())
    expect(misses(await planWith({}))).toEqual({})
    expect(misses(await planWith({}, { from: 'third' }))).toEqual({
      third: 'requested',
      repack: 'a layer below has to be made',
    })
  })

  it('is left out where it is not wanted, and where no images are made', async () => {
    expect((await planWith({ reproducible: false })).final).toBeUndefined()
    expect((await planWith({}, { until: 'second' })).final).toBeUndefined()
  })
})

describe('a plan', () => {
  it('of an empty store makes everything, and says that it never was', async () => {
    const plan = await planImage(await sampleImage(path()), store())
    expect(misses(plan)).toEqual({
      base: 'never built',
      first: 'never built',
      second: 'never built',
      third: 'never built',
    })
  })

  it('chains each layer to the one below', async () => {
    const { base, stages } = await planImage(await sampleImage(path()), store())
    expect(base.parent).toBeNull()
    expect(stages.map(({ parent }) => parent)).toEqual([base.key, stages[0]?.key, stages[1]?.key])
  })

  it('of what has been built makes nothing', async () => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    expect(misses(await planImage(image, store()))).toEqual({})
  })

  it('has another base for each installer, by all that the installer is told', async () => {
    const keyWith = async (over: Partial<Pipeline>) =>
      (await planImage(await sampleImage(path(), over), store())).base.key
    const [bootstrap, installer] = [await keyWith({}), await keyWith({ installer: 'debian-installer' })]
    expect(installer).not.toBe(bootstrap)
    const debianInstaller: Pipeline['debianInstaller'] = {
      extraAnswers: [{ question: 'clock-setup/ntp-server', type: 'string', value: 'ntp.example.org' }],
    }
    expect(await keyWith({ installer: 'debian-installer', debianInstaller })).not.toBe(installer)
    // What only the one is told is nothing to the other.
    expect(await keyWith({ debianInstaller, mirror: { udebs: { suite: 'udebs' } } })).toBe(bootstrap)
  })

  it('lays stages on the partitions where the installer has put them, not where they were thought to be', async () => {
    const image = await sampleImage(path(), { installer: 'debian-installer' })
    const plan = await planImage(image, store())
    const layout = { ...plan.layout, diskId: '0badcafe' }
    mkdirSync(store().folder, { recursive: true })
    const layer = await seal(plan.base, store())
    await store().commit({ ...layer, layout })
    expect((await planImage(image, store())).layout.diskId).toBe('0badcafe')
  })

  it('has the same keys for settings in another order', async () => {
    const { first, second, third } = threeStages(path())
    const stages = (use: typeof first) => [use({ word: 'a', count: 2 }), second(), third()]
    const swapped = (use: typeof first) => [use({ count: 2, word: 'a' }), second(), third()]
    const one = await planImage(await sampleImage(path(), { stages: stages(first) }), store())
    const mirror = { security: 'http://security.example.org', debian: 'http://deb.example.org' }
    const two = await planImage(await sampleImage(path(), { stages: swapped(first) }), store())
    expect(two.stages.map(({ key }) => key)).toEqual(one.stages.map(({ key }) => key))
    const [a, b] = [
      await planImage(await sampleImage(path(), { mirror }), store()),
      await planImage(
        await sampleImage(path(), { mirror: { debian: mirror.debian, security: mirror.security } }),
        store(),
      ),
    ]
    expect(a.base.key).toBe(b.base.key)
  })

  it('has the same keys in another checkout of the same files', async () => {
    mkdirSync(path('clone'))
    const here = await planImage(await sampleImage(path()), store())
    const there = await planImage(await sampleImage(path('clone')), store())
    expect(there.stages.map(({ key }) => key)).toEqual(here.stages.map(({ key }) => key))
  })

  it('uses no layer when it may not', async () => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    const plan = await planImage(image, store(), { ignoreStore: true })
    expect(Object.keys(misses(plan))).toEqual(['base', 'first', 'second', 'third'])
  })

  it('uses no layer above a missing one', async () => {
    const image = await sampleImage(path())
    const before = await planImage(image, store())
    await build(before, store())
    truncateSync(store().disk(before.stages[1]?.key as LayerKey), 3)
    const plan = await planImage(image, store())
    expect(Object.keys(misses(plan))).toEqual(['second', 'third'])
    expect(plan.stages[2]?.reason).toBe('a layer below has to be made')
  })

  it('is made on a store with a chain of any length', async () => {
    const layers = chainOf(20_000)
    // From the top, none of the layers below is known yet.
    const full: Store = { ...store(), list: async () => [...layers].reverse() }
    expect(misses(await planImage(await sampleImage(path()), full)).first).toBe('never built')
  })
})

type Change = () => Promise<Parameters<typeof sampleImage>[1]> | Parameters<typeof sampleImage>[1]

/** One change each: what it is, the first layer that it concerns, and what the reason has to say. */
const changes: readonly (readonly [string, string, string, Change])[] = [
  ['the hostname', 'base', 'hostname changed', () => ({ hostname: 'other' })],
  ['the domain', 'base', 'domain changed', () => ({ domain: 'example.com' })],
  ['the time zone', 'base', 'timezone changed', () => ({ timezone: 'Europe/Berlin' })],
  ['the keyboard', 'base', 'keyboard changed', () => ({ keyboard: 'de' })],
  ['the account', 'base', 'account changed', () => ({ account: { name: 'other' } })],
  ['the mirror', 'base', 'mirror changed', () => ({ mirror: { debian: 'http://deb.example.org' } })],
  ['the kernel', 'base', 'packages changed', () => ({ kernelPackage: 'linux-image-cloud-amd64' })],
  ['the disk', 'base', 'disk changed', () => ({ disk: { ...sound.disk, sizeMiB: 2520 } })],
  [
    'the share of blocks that is for root',
    'base',
    'disk changed',
    () => ({
      disk: {
        ...sound.disk,
        partitions: sound.disk.partitions.map((each, at) =>
          at === 2 ? { ...each, reservedPercent: 5 } : each,
        ),
      },
    }),
  ],
  ['the date', 'first', 'sourceDateEpoch changed', () => ({ date: '2026-02-03' })],
  [
    "a stage's setting",
    'second',
    'environment, leaves changed',
    () => {
      const { first, second, third } = threeStages(path())
      return { stages: [first(), second({ word: 'other' }), third()] }
    },
  ],
  [
    "the last stage's setting",
    'third',
    'environment changed',
    () => {
      const { first, second, third } = threeStages(path())
      return { stages: [first(), second(), third({ count: 3 })] }
    },
  ],
]

/** The same for files, which change below a pipeline that stays as it is. */
const edits: readonly (readonly [string, string, string, () => void])[] = [
  ['a script', 'second', 'script changed', () => writeFileSync(path('second.sh'), 'echo another\n')],
  ['a file', 'second', 'files changed', () => writeFileSync(path('payload', 'etc', 'motd'), 'bye\n')],
  ['the mode of a file', 'second', 'files changed', () => chmodSync(path('payload', 'etc', 'motd'), 0o755)],
  ['a removed file', 'second', 'files changed', () => rmSync(path('payload', 'etc', 'motd'))],
]

const layers = ['base', 'first', 'second', 'third']

describe('a change makes what it concerns and all after it, and nothing before', () => {
  const judge = async (image: ResolvedImage, from: string, reason: string) => {
    const plan = await planImage(image, store())
    const [concerned, ...above] = layers.slice(layers.indexOf(from))
    expect(misses(plan)).toEqual({
      [concerned as string]: reason,
      ...Object.fromEntries(above.map((name) => [name, expect.any(String)])),
    })
  }

  it.each(changes)('%s: from %s on', async (_case, from, reason, change) => {
    await build(await planImage(await sampleImage(path()), store()), store())
    await judge(await sampleImage(path(), await change()), from, reason)
  })

  it.each(edits)('%s: from %s on', async (_case, from, reason, edit) => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    edit()
    await judge(image, from, reason)
  })

  it('the network: from that stage on', async () => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    const stages = image.stages.map((stage) =>
      stage.name === 'second' ? { ...stage, network: true } : stage,
    )
    await judge({ ...image, stages }, 'second', 'network changed')
  })

  it('the order of stages: from the first that moved', async () => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    const { first, second, third } = threeStages(path())
    const plan = await planImage(await sampleImage(path(), { stages: [first(), third(), second()] }), store())
    expect(misses(plan)).toEqual({ third: 'a layer below changed', second: 'a layer below changed' })
  })

  it('what a layer does not depend on makes nothing: time limits, the machine, the qcow2 options, the store', async () => {
    const image = await sampleImage(path())
    await build(await planImage(image, store()), store())
    const same = await sampleImage(path(), {
      machine: { cpus: 4, memoryMiB: 4096, bootTimeoutSeconds: 900 },
      formats: { kvm: { compression: 'zstd' } },
      store: { maximumGiB: 1 },
      release: '2.0',
    })
    const stages = same.stages.map((stage) => ({ ...stage, timeoutSeconds: 5 }))
    expect(misses(await planImage({ ...same, stages }, store()))).toEqual({})
  })
})

describe('the reason', () => {
  it('is about the closest layer of that name, not about the newest', async () => {
    const { first, second, third } = threeStages(path())
    const one = await sampleImage(path())
    const two = await sampleImage(path(), { stages: [first({ word: 'x', count: 2 }), second(), third()] })
    await build(await planImage(one, store()), store())
    await build(await planImage(two, store()), store())
    writeFileSync(path('first.sh'), 'echo changed\n')
    expect(misses(await planImage(one, store())).first).toBe('script changed')
  })

  it('does not compare a variant with another one', async () => {
    const { first, second, third } = threeStages(path())
    const { images } = await resolvePipeline({
      ...sound,
      variants: [
        { suite: 'trixie', arch: 'x86_64' },
        { suite: 'bookworm', arch: 'x86_64', label: 'bookworm' },
      ],
      stages: [first(), second(), third()],
    })
    const [trixie, bookworm] = images as [ResolvedImage, ResolvedImage]
    await build(await planImage(trixie, store()), store())
    const plan = await planImage(bookworm, store())
    expect(new Set(Object.values(misses(plan)))).toEqual(new Set(['never built']))
    expect(Object.keys(misses(plan))).toEqual(layers)
  })
})

describe('a secret in the environment of a stage', () => {
  const planWith = async (token: string) => {
    const image = await sampleImage(path())
    const secrets = {
      API_TOKEN: token,
      MIRROR: `http://user:${token}@mirror.example/`,
      ROOT_PASSWORD_HASH: '*',
    }
    const stages = image.stages.map((stage) => ({
      ...stage,
      environment: { ...stage.environment, ...secrets },
    }))
    return planImage({ ...image, stages }, store())
  }

  it('is in the guest, and in no part of a key, which records have', async () => {
    const { stages } = await planWith('pl4nted')
    for (const { parts, stage } of stages) {
      expect(JSON.stringify(parts)).not.toContain('pl4nted')
      expect(parts.environment).toMatchObject({ WORD: 'word', ROOT_PASSWORD_HASH: '*' })
      expect(stage.environment).toMatchObject({ API_TOKEN: 'pl4nted' })
    }
    await build(await planWith('pl4nted'), store())
    for (const name of readdirSync(path('store')).filter((name) => name.endsWith('.json')))
      expect(readFileSync(path('store', name), 'utf8')).not.toContain('pl4nted')
  })

  it('makes the layer again when it changes', async () => {
    await build(await planWith('pl4nted'), store())
    expect(misses(await planWith('pl4nted'))).toEqual({})
    expect(misses(await planWith('another')).first).toBe('environment changed')
  })
})
