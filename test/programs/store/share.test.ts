/** Layers to and from a real registry, and from registries that are down, slow, closed, or lie. */

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { loadPipeline } from '../../../src/config/load.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import type { SshTrust } from '../../../src/host/ssh-signature.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { packLayer } from '../../../src/store/artifact.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openRegistry, RegistryFault } from '../../../src/store/registry.ts'
import {
  type PullRequest,
  type PushRequest,
  pullLayers,
  pushLayers,
  type Shared,
} from '../../../src/store/share.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { record } from '../../support/layers.ts'
import { useOutput } from '../../support/output.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { findPort, startRegistry, type TestRegistry } from '../../support/registry.ts'
import { canMount, mountSmallDisk } from '../../support/small-disk.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
/** Of the sample's disk. */
const diskSize = '1260M'
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

describeWith(['skopeo'], 'a registry whose list of tags never ends', () => {
  it('is not listened to for ever', async () => {
    let pages = 0
    const server = createHttpServer(({ url }, response) => {
      if (url?.startsWith('/v2/test/layers/tags/list') !== true) return response.end('{}')
      pages += 1
      response.setHeader('Link', `</v2/test/layers/tags/list?last=${pages}>; rel="next"`)
      response.setHeader('Content-Type', 'application/json')
      return response.end(JSON.stringify({ name: 'test/layers', tags: [`tag${pages}`] }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    try {
      const { list } = openRegistry(`127.0.0.1:${port}/test/layers`, 5)
      await expect(list(never)).rejects.toThrow('its list of tags has not ended after 5 s')
      expect(pages).toBeGreaterThan(1)
    } finally {
      server.closeAllConnections()
      server.close()
    }
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
      const size = planned.parent === null ? [diskSize] : []
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
    run: (request: PushRequest & PullRequest) => Promise<Shared>,
    store: Store,
    plan: Plan,
    host = registry.host,
    timeoutSeconds = 60,
    changes: Partial<PushRequest & PullRequest> = {},
  ) =>
    run({
      signingKey: undefined,
      trust: undefined,
      plans: [plan],
      store,
      registry: openRegistry(`${host}/test/layers`),
      workFolder: path('work'),
      timeoutSeconds,
      onLayer: () => undefined,
      signal: never,
      ...changes,
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
      const origin = { registry: `${registry.host}/test/layers`, pulledAt: expect.any(String) }
      expect(await there.find(key)).toEqual({ ...(await here.find(key)), origin })
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
      expect((await pull(`127.0.0.1:${port}`, 1)).fault).toContain('did not finish within 1 s')
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

  // Skipped unless run by root: nobody else may mount a disk.
  it.skipIf(!canMount)('is not blamed for a full disk of this host', async () => {
    await fill(here)
    await share(pushLayers, here, await planImage(image, here))
    // Less than one of its blobs.
    const unmount = mountSmallDisk(path('work'), 'size=8k')
    try {
      const failed = share(pullLayers, there, await planImage(image, there))
      await expect(failed).rejects.toMatchObject({ code: 'disk-full', exitCode: 3 })
      await expect(failed).rejects.toThrow(`the disk that holds ${path('work')}`)
    } finally {
      unmount()
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
  async function forge(
    layer: Layer,
    key: string,
    disk?: (file: string) => void,
    signingKey?: string,
  ): Promise<void> {
    const store = openStore(path('forged'))
    mkdirSync(store.folder, { recursive: true })
    writeFileSync(store.disk(layer.key), readFileSync(here.disk(layer.key)))
    disk?.(store.disk(layer.key))
    await packLayer({ layer, store, folder: path('forgery'), signingKey, signal: never })
    await openRegistry(`${registry.host}/test/layers`).push(path('forgery'), key, never)
  }

  /** Changes the disk of a layer by qemu-img, and records it as it is now. */
  async function forgeDisk(layer: Layer, ...words: string[]): Promise<void> {
    execFileSync('qemu-img', words)
    const { sha256: _sha256, sizeBytes: _sizeBytes, ...fields } = layer
    await forge(await here.commit(fields), layer.key)
  }

  const sampleLayout = { sizeBytes: 1260 * 1024 ** 2, diskId: '', partitions: [] }

  it.each<[string, (base: Layer, first: Layer) => Promise<void>, string]>([
    ['another layer', (base, first) => forge(first, base.key), 'it is not the layer that was asked for'],
    [
      'a record that its key does not follow from',
      (base) => forge({ ...base, parts: { ...base.parts, suite: 'sid' } } as Layer, base.key),
      'its record is not valid',
    ],
    [
      'a record whose layout is an option of a program',
      (base) => forge({ ...base, layout: { ...sampleLayout, sizeBytes: '-osize=1M' } } as never, base.key),
      'its record is not valid',
    ],
    [
      'a name that is a workflow command',
      (base) => forge({ ...base, name: '::warning::base' }, base.key),
      'its record is not valid',
    ],
    [
      'a list of packages that is none',
      (base) => forge({ ...base, packages: { ...base.packages, added: [null as never] } }, base.key),
      'its record is not valid',
    ],
    [
      'a field that no layer has',
      (base) => forge({ ...base, more: 1 } as Layer, base.key),
      'its record is not valid',
    ],
    [
      'a size that is more than the disk of the plan',
      (base) => forge({ ...base, sizeBytes: 2 ** 50 }, base.key),
      'its disk is larger than that of the plan',
    ],
    [
      'a disk of another size',
      (base) => forgeDisk(base, 'resize', '-q', '-f', 'qcow2', here.disk(base.key), '4T'),
      'its disk has another size than that of the plan',
    ],
    [
      'a disk with a dirty bitmap, which QEMU would load with it',
      (base) => forgeDisk(base, 'bitmap', '--add', here.disk(base.key), 'one'),
      'its disk is not a plain qcow2',
    ],
    [
      'a disk with more than one content',
      (base) => forgeDisk(base, 'snapshot', '-c', 'other', here.disk(base.key)),
      'its disk is not a plain qcow2',
    ],
    [
      'another disk',
      (base) => forge(base, base.key, (file) => writeFileSync(file, Buffer.alloc(base.sizeBytes))),
      'its disk does not match its digest',
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

  it('fails where it is awaited when it breaks down while a layer is being packed', async () => {
    await fill(here)
    const broken = {
      ...openRegistry(`${registry.host}/test/layers`),
      push: () => Promise.reject(new RegistryFault('it is gone')),
    }
    const shared = share(pushLayers, here, await planImage(image, here), registry.host, 60, {
      registry: broken,
    })
    expect(await shared).toEqual({ layers: [], fault: expect.stringContaining('it is gone') })
    nothingIsLeft()
  })

  describeWith(['ssh-keygen'], 'whose layers are signed', () => {
    beforeEach(() => {
      for (const name of ['maker', 'other'])
        execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path(name)])
      writeFileSync(path('signers'), `maker@example.org ${readFileSync(path('maker.pub'), 'utf8')}`)
    })
    const pushBy = async (name: string | undefined) =>
      share(pushLayers, here, await planImage(image, here), registry.host, 60, {
        signingKey: name && path(name),
      })
    const pullOf = async (trust: Partial<SshTrust> = {}) =>
      share(pullLayers, there, await planImage(image, there), registry.host, 60, {
        trust: { signers: path('signers'), revoked: undefined, ...trust },
      })
    const refused = (said: string) => ({
      layers: [],
      fault: expect.stringMatching(`/test/layers: the layer of base is refused: ${said}`),
    })

    it('gives them to those who trust the key, and their records say whose it is', async () => {
      await fill(here)
      expect((await pushBy('maker')).layers).toHaveLength(4)
      const { layers, fault } = await pullOf()
      expect(fault).toBeUndefined()
      expect(layers).toHaveLength(4)
      for (const { key } of layers)
        expect((await there.find(key))?.origin).toMatchObject({
          registry: `${registry.host}/test/layers`,
          signedBy: expect.stringMatching(/^maker@example\.org \(SSH key SHA256:\S+\)$/),
        })
      nothingIsLeft()
    })

    it.each<[string, string | undefined, () => Partial<SshTrust>, string]>([
      ['a signature', undefined, () => ({}), 'it is not signed'],
      ['one by a key that is trusted', 'other', () => ({}), 'its signature is refused: no key in'],
      ['one by a key that is still trusted', 'maker', () => ({ revoked: path('maker.pub') }), '.*revoked'],
    ])('gives none without %s', async (_case, by, trust, said) => {
      await fill(here)
      expect((await pushBy(by)).layers).toHaveLength(4)
      expect(await pullOf(trust())).toEqual(refused(said))
      nothingIsLeft()
    })

    it('gives none under the tag of another', async () => {
      const [base, first] = (await fill(here)) as [Layer, Layer]
      await forge(first, base.key, undefined, path('maker'))
      expect(await pullOf()).toEqual(refused('its signature is refused: it is not valid'))
    })

    it('gives none with the signature of another', async () => {
      const [base] = (await fill(here)) as [Layer]
      await pushBy('maker')
      const manifest = JSON.parse(
        execFileSync('skopeo', [
          'inspect',
          '--raw',
          '--tls-verify=false',
          `docker://${registry.host}/test/layers:${base.key}`,
        ]).toString(),
      ) as { readonly annotations: object }
      const forged = { ...base, createdAt: '2020-01-01T00:00:00.000Z' }
      const store = openStore(path('forged'))
      mkdirSync(store.folder, { recursive: true })
      writeFileSync(store.disk(base.key), readFileSync(here.disk(base.key)))
      await packLayer({ layer: forged, store, folder: path('forgery'), signingKey: undefined, signal: never })
      const own = JSON.parse(readFileSync(path('forgery', 'manifest.json'), 'utf8')) as object
      const { annotations } = manifest
      writeFileSync(path('forgery', 'manifest.json'), JSON.stringify({ ...own, annotations }))
      await openRegistry(`${registry.host}/test/layers`).push(path('forgery'), base.key, never)
      expect(await pullOf()).toEqual(refused('its signature is refused: it is not valid'))
    })

    it('gives one that was signed for another purpose to nobody', async () => {
      const [base] = (await fill(here)) as [Layer]
      writeFileSync(
        path('signers'),
        `maker@example.org namespaces="git" ${readFileSync(path('maker.pub'), 'utf8')}`,
      )
      await forge(base, base.key, undefined, path('maker'))
      expect(await pullOf()).toEqual(refused('its signature is refused: .*not permitted'))
    })
  })

  it('gives a disk that unpacks to more than its record says only until that is clear', async () => {
    const [base] = (await fill(here)) as [Layer]
    await forge({ ...base, sizeBytes: 1e8 }, base.key, (file) => {
      execFileSync('truncate', ['-s', '300M', file])
    })
    expect(await pull()).toMatchObject({
      layers: [],
      fault: expect.stringContaining('longer than its record says'),
    })
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
      diskSize,
    ])
    await forge(await record(base, here), base.key)
    expect((await pull()).fault).toContain('its disk has the wrong backing file')
  })

  const text = useOutput()
  it('is shared with by the verbs: what does not come is no failure, what is not brought is one', async () => {
    const { images } = await loadPipeline(tinyPipeline, [])
    image = images[0] as ResolvedImage
    const out = openStore(path('out', 'store'))
    mkdirSync(out.folder, { recursive: true })
    await fill(out)
    const verb = (...words: string[]) =>
      main(['store', ...words, '--pipeline', tinyPipeline, '--out', path('out')])
    expect(await verb('push', `${registry.host}/a/b`)).toBe(2)
    expect(text.stderr).toContain('store push takes either --sign KEY or --unsigned')
    expect(await verb('pull', `${registry.host}/a/b`)).toBe(2)
    expect(text.stderr).toContain('store pull takes either --signers FILE or --unsigned')
    expect(await verb('pull', `${registry.host}/a/b`, '--signers', path('nowhere'))).toBe(2)
    expect(text.stderr).toContain('cannot read the keys in')
    expect(await verb('push', `${registry.host}/a/b`, '--unsigned')).toBe(0)
    expect(text.stderr).toMatch(/^4 layers, .* pushed$/m)
    expect(text.stderr).toContain('without signatures: ')
    await out.remove((await out.list()).find(({ name }) => name === 'unpack')?.key as LayerKey)
    expect(await verb('pull', `${registry.host}/a/b`, '--unsigned', '--json')).toBe(0)
    expect(text.stderr).toMatch(/^2 layers, .* pulled$/m)
    const host = `127.0.0.1:${await findPort()}`
    expect(await verb('push', `${host}/a/b`, '--unsigned')).toBe(3)
    expect(await verb('pull', `${host}/a/b`, '--unsigned')).toBe(0)
    expect(await verb('pull', 'https://user:planted@ghcr.io/a/b')).toBe(2)
    expect(text.stdout + text.stderr).not.toContain('planted')
  })
})
