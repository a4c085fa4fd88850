/** Layers to and from a real registry, and from registries that are down, slow, closed, or lie. */

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { loadPipeline } from '../../../src/config/load.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { packLayer } from '../../../src/store/artifact.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import { openRegistry } from '../../../src/store/registry.ts'
import { pullLayers, pushLayers } from '../../../src/store/share.ts'
import { type Layer, openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { record } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { findPort, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal

describe('a reference', () => {
  it.each(['ghcr.io/someone/layers', '127.0.0.1:5000/a/b', 'localhost:5000/x', '[::1]:5000/x'])(
    'may be %s',
    (reference) => {
      expect(openRegistry(reference).reference).toBe(reference)
    },
  )

  it.each([
    'ghcr.io',
    'ghcr.io/Owner/x',
    'docker://ghcr.io/a/b',
    'ghcr.io/a/b:tag',
    'ghcr.io/a/b@sha256:00',
    '--help',
  ])('may not be %s', (reference) => {
    expect(() => openRegistry(reference)).toThrow(
      expect.objectContaining({ code: 'bad-reference', exitCode: 2 }),
    )
  })

  it('is not said where a password may be in it', () => {
    expect(() => openRegistry('user:planted@ghcr.io/a/b')).toThrow(/^this is not a registry repository/)
  })
})

describeWith(['skopeo', 'docker-registry', 'qemu-img', 'zstd'], 'a registry', () => {
  let image: ResolvedImage
  let here: Store
  let there: Store
  let registry: TestRegistry

  beforeEach(async () => {
    image = await sampleImage(path())
    ;[here, there] = ['here', 'there'].map((name) => openStore(path(name))) as [Store, Store]
    for (const store of [here, there]) mkdirSync(store.folder)
    mkdirSync(path('work'))
    registry = await startRegistry(path('registry'))
  })
  afterEach(() => registry.stop())

  /** Layers of the sample as a build leaves them: each disk stands on the one before. */
  async function fill(store: Store): Promise<Layer[]> {
    const { base, stages } = await planImage(image, store)
    const layers: Layer[] = []
    for (const planned of [base, ...stages]) {
      const backing = planned.parent === null ? [] : ['-b', `${planned.parent}.qcow2`, '-F', 'qcow2']
      const size = planned.parent === null ? ['1M'] : []
      execFileSync(
        'qemu-img',
        ['create', '-q', '-f', 'qcow2', ...backing, store.disk(planned.key), ...size],
        { cwd: store.folder },
      )
      layers.push(await record(planned, store))
    }
    return layers
  }

  const share = (
    run: typeof pushLayers,
    store: Store,
    plan: Plan,
    host = registry.host,
    timeoutSeconds = 60,
  ) =>
    run({
      plans: [plan],
      store,
      registry: openRegistry(`${host}/test/layers`),
      workFolder: path('work'),
      timeoutSeconds,
      onLayer: () => undefined,
      signal: never,
    })
  const push = async (store = here, host = registry.host, seconds = 60) =>
    share(pushLayers, store, await planImage(image, store), host, seconds)
  const pull = async (host = registry.host, seconds = 60) =>
    share(pullLayers, there, await planImage(image, there), host, seconds)
  const nothingIsLeft = () => {
    expect(readdirSync(path('work'))).toEqual([])
    expect(readdirSync(there.folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  }

  it('takes layers once, and gives back the same to a machine that has none', async () => {
    const layers = await fill(here)
    expect((await push()).layers).toHaveLength(4)
    expect((await push()).layers).toHaveLength(0)
    const pulled = await pull()
    expect(pulled).toMatchObject({ fault: undefined })
    expect(pulled.layers.map(({ name }) => name)).toEqual(['base', 'first', 'second', 'third'])
    for (const { key } of layers) {
      expect(readFileSync(there.disk(key)).equals(readFileSync(here.disk(key)))).toBe(true)
      expect(await there.find(key)).toEqual(await here.find(key))
    }
    expect(await there.inspect()).toEqual([])
    const { stages } = await planImage(image, there)
    expect(stages.every(({ cached }) => cached !== undefined)).toBe(true)
    nothingIsLeft()
  })

  it('gives those below the stage that has changed', async () => {
    await fill(here)
    await push()
    writeFileSync(path('third.sh'), 'echo changed\n')
    expect((await pull()).layers.map(({ name }) => name)).toEqual(['base', 'first', 'second'])
  })

  it('has nothing where nobody has pushed', async () => {
    expect(await pull()).toEqual({ layers: [], fault: undefined })
  })

  it('that is down costs a line', async () => {
    await fill(here)
    // Of a port that was free a moment ago, another test may have made a registry.
    const host = '127.0.0.1:1'
    expect(await pull(host)).toEqual({
      layers: [],
      fault: expect.stringMatching(/127\.0\.0\.1:\d+\/test\/layers: .*connection refused/),
    })
    expect((await push(here, host)).fault).toContain('connection refused')
    nothingIsLeft()
  })

  it('that does not answer costs a line and no more than its time', async () => {
    const server: Server = createServer(() => undefined)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const { port } = server.address() as AddressInfo
      const started = performance.now()
      expect((await pull(`127.0.0.1:${port}`, 1)).fault).toContain('has not finished within 1 s')
      expect(performance.now() - started).toBeLessThan(5000)
      nothingIsLeft()
    } finally {
      server.close()
    }
  })

  it('that wants a login costs a line, and takes one from where skopeo has it', async () => {
    await fill(here)
    const closed = await startRegistry(path('closed'), true)
    try {
      expect((await pull(closed.host)).fault).toMatch(/unauthorized|authentication required/)
      expect((await push(here, closed.host)).fault).toMatch(/unauthorized|authentication required/)
      vi.stubEnv('REGISTRY_AUTH_FILE', path('auth.json'))
      const login = Buffer.from('someone:password').toString('base64')
      writeFileSync(path('auth.json'), JSON.stringify({ auths: { [closed.host]: { auth: login } } }))
      expect((await push(here, closed.host)).layers).toHaveLength(4)
      nothingIsLeft()
    } finally {
      vi.unstubAllEnvs()
      await closed.stop()
    }
  })

  it('that serves a wrong blob costs a line, and leaves the layers below', async () => {
    await fill(here)
    await push()
    const [largest] = blobs().sort((a, b) => statSync(b).size - statSync(a).size)
    const bytes = readFileSync(largest as string)
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] as number) ^ 1
    writeFileSync(largest as string, bytes)
    const { layers, fault } = await pull()
    expect(fault).toBeDefined()
    expect(layers.length).toBeLessThan(4)
    expect(await there.inspect()).toEqual([])
    expect(await there.list()).toHaveLength(layers.length)
    nothingIsLeft()
  })

  /** Every blob that the registry has on its disk. */
  function blobs(): string[] {
    return readdirSync(registry.folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /blobs\/sha256\/.*\/data$/.test(name))
      .map((name) => join(registry.folder, name))
  }

  /** Puts an artifact of a layer under the tag of a key, as somebody would who can write to the registry. */
  async function forge(layer: Layer, key: string, disk?: (file: string) => void): Promise<void> {
    const store = openStore(path('forged'))
    mkdirSync(store.folder, { recursive: true })
    writeFileSync(store.disk(layer.key), readFileSync(here.disk(layer.key)))
    disk?.(store.disk(layer.key))
    await packLayer(layer, store, path('forgery'), never)
    await openRegistry(`${registry.host}/test/layers`).push(path('forgery'), key, never)
  }

  it.each<[string, (base: Layer, first: Layer) => Promise<void>, string]>([
    ['another layer', (base, first) => forge(first, base.key), 'it is not the layer that was asked for'],
    [
      'a record that its key does not follow from',
      (base) => forge({ ...base, parts: { ...base.parts, suite: 'sid' } }, base.key),
      'it is not the layer that was asked for',
    ],
    [
      'another disk',
      (base) => forge(base, base.key, (file) => writeFileSync(file, Buffer.alloc(base.sizeBytes))),
      'its disk is not what its digest says',
    ],
    [
      'a disk that is longer',
      (base) => forge({ ...base, sizeBytes: 10 }, base.key),
      'its disk is longer than its record says',
    ],
  ])('that gives %s costs a line', async (_case, lie, said) => {
    const [base, first] = (await fill(here)) as [Layer, Layer]
    await lie(base, first)
    expect(await pull()).toEqual({
      layers: [],
      fault: `${registry.host}/test/layers: the layer of base is refused: ${said}`,
    })
    expect(existsSync(there.disk(base.key))).toBe(false)
    nothingIsLeft()
  })

  it('gives no disk that would read a file of this host', async () => {
    const { base } = await planImage(image, here)
    writeFileSync(path('secret'), 'a secret of this host')
    execFileSync('qemu-img', [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      path('secret'),
      '-F',
      'raw',
      here.disk(base.key),
      '1M',
    ])
    await forge(await record(base, here), base.key)
    expect((await pull()).fault).toContain('its disk has the wrong backing file')
  })

  it('is shared with by the verbs: what does not come is no failure, what is not brought is one', async () => {
    const text = { stdout: '', stderr: '' }
    for (const to of ['stdout', 'stderr'] as const)
      vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
        text[to] += chunk.toString()
        return true
      })
    const { images } = await loadPipeline(tinyPipeline, [])
    image = images[0] as ResolvedImage
    const out = openStore(path('out', 'store'))
    mkdirSync(out.folder, { recursive: true })
    await fill(out)
    const verb = (...words: string[]) =>
      main(['store', ...words, '--pipeline', tinyPipeline, '--out', path('out')])
    try {
      expect(await verb('push', `${registry.host}/a/b`)).toBe(0)
      expect(text.stderr).toMatch(/^4 layers, .* pushed$/m)
      await out.remove((await out.list()).find(({ name }) => name === 'unpack')?.key as LayerKey)
      expect(await verb('pull', `${registry.host}/a/b`, '--json')).toBe(0)
      expect(text.stderr).toMatch(/^2 layers, .* pulled$/m)
      const host = `127.0.0.1:${await findPort()}`
      expect(await verb('push', `${host}/a/b`)).toBe(3)
      expect(await verb('pull', `${host}/a/b`)).toBe(0)
      expect(await verb('pull', 'https://user:planted@ghcr.io/a/b')).toBe(2)
      expect(text.stdout + text.stderr).not.toContain('planted')
    } finally {
      vi.restoreAllMocks()
    }
  })
})
