import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { sha256, sha256File } from '../../src/digest.ts'
import { PipelineError } from '../../src/errors.ts'
import { areExported, type ExportRequest, exportImages } from '../../src/export/export-images.ts'
import { exportQcow2 } from '../../src/export/qcow2.ts'
import type { BuildEvent } from '../../src/report/events.ts'
import { type Layer, openStore } from '../../src/store/store.ts'
import { useFolder } from '../support/folder.ts'
import { sampleImage } from '../support/pipelines.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()
const defaults: ResolvedImage['qcow2'] = { compat: '1.1', compression: 'zlib' }
const never = new AbortController().signal

const qemu = (program: string, ...options: string[]) => execFileSync(program, options, { encoding: 'utf8' })

/** Two layers of 16 MiB: A in the lower, B over a part of it in the upper. Returns the upper one. */
function makeLayers(folder: string, low: string, high: string): string {
  mkdirSync(folder, { recursive: true })
  const [below, above] = [`${folder}/${low}.qcow2`, `${folder}/${high}.qcow2`]
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', below, '16M')
  qemu('qemu-io', '-c', 'write -q -P 0x41 0 1M', '-c', 'write -q -P 0x41 8M 64k', below)
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', `${low}.qcow2`, '-F', 'qcow2', above)
  qemu('qemu-io', '-c', 'write -q -P 0x42 512k 64k', '-c', 'write -q -P 0x42 15M 64k', above)
  return above
}

interface Info {
  readonly 'virtual-size': number
  readonly 'backing-filename'?: string
  readonly 'format-specific': {
    readonly data: { readonly compat: string; readonly 'compression-type'?: string }
  }
}

const info = (file: string) => JSON.parse(qemu('qemu-img', 'info', '--output=json', file)) as Info

describeWith(['qemu-img', 'qemu-io'], 'an export', () => {
  const exportTo = (options = defaults, progress: (percent: number) => void = () => undefined) =>
    exportQcow2(makeLayers(path('store'), 'low', 'high'), path('image.qcow2'), options, progress, never)

  it('has the content of all layers and stands on none of them', async () => {
    const { sizeBytes, sha256: sum, sha512 } = await exportTo()
    const file = path('image.qcow2')
    expect(info(file)).toMatchObject({ 'virtual-size': 16 * 1024 * 1024 })
    expect(info(file)['backing-filename']).toBeUndefined()
    const content = ['0x41 0 512k', '0x42 512k 64k', '0x41 8M 64k', '0x42 15M 64k', '0 2M 1M']
    for (const pattern of content) {
      expect(qemu('qemu-io', '-r', '-c', `read -P ${pattern}`, file)).not.toContain('verification failed')
    }
    expect(sum).toBe(await sha256File(file))
    expect(sizeBytes).toBe(readFileSync(file).length)
    expect(sha512).toBe(qemu('sha512sum', file).split(' ')[0])
    // Two megabytes and more of data: it is compressed.
    expect(sizeBytes).toBeLessThan(1024 * 1024)
  })

  it('is the same, byte for byte, when it is made again', async () => {
    const first = await exportTo()
    const source = path('store', 'high.qcow2')
    const second = await exportQcow2(source, path('again.qcow2'), defaults, () => undefined, never)
    expect(second).toEqual(first)
  })

  it.each([
    [{ compat: '1.1', compression: 'zlib' } as const, '1.1', 'zlib'],
    [{ compat: '1.1', compression: 'zstd' } as const, '1.1', 'zstd'],
    [{ compat: '0.10', compression: 'zlib' } as const, '0.10', undefined],
  ])('is written as %j asks', async (options, compat, compression) => {
    await exportTo(options)
    const { data } = info(path('image.qcow2'))['format-specific']
    expect(data.compat).toBe(compat)
    if (compression !== undefined) expect(data['compression-type']).toBe(compression)
  })

  it('tells how far it is, up to all of it', async () => {
    const told: number[] = []
    await exportTo(defaults, (percent) => told.push(percent))
    expect(told.at(-1)).toBe(100)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
  })

  const failing = async (source: string, signal = never) => {
    const failure = exportQcow2(source, path('image.qcow2'), defaults, () => undefined, signal)
    return (await failure.catch((error: unknown) => error)) as PipelineError
  }

  it('that fails says why, and leaves no file, not even a part of one', async () => {
    const source = makeLayers(path('store'), 'low', 'high')
    writeFileSync(source, 'no qcow2')
    const error = await failing(source)
    expect(error).toBeInstanceOf(PipelineError)
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain(path('image.qcow2'))
    expect(error.message).toContain('qcow2')
    expect(readdirSync(path())).toEqual(['store'])
  })

  it('that fails leaves the image that was there', async () => {
    await exportTo()
    const before = await sha256File(path('image.qcow2'))
    writeFileSync(path('store', 'low.qcow2'), 'gone')
    expect((await failing(path('store', 'high.qcow2'))).code).toBe('export-failed')
    expect(await sha256File(path('image.qcow2'))).toBe(before)
    expect(readdirSync(path()).sort()).toEqual(['image.qcow2', 'store'])
  })

  it('that is interrupted is no failure of the export, and leaves nothing', async () => {
    const source = makeLayers(path('store'), 'low', 'high')
    const interrupted = new Error('interrupted')
    expect(await failing(source, AbortSignal.abort(interrupted))).toBe(interrupted)
    expect(readdirSync(path())).toEqual(['store'])
  })
})

describeWith(['qemu-img', 'qemu-io'], 'the images of a run', () => {
  const prepare = async (over: Partial<ExportRequest> = {}) => {
    const image = await sampleImage(path())
    const [low, high] = [sha256('low'), sha256('high')]
    const disk = makeLayers(path('out', 'store'), low, high)
    const events: BuildEvent[] = []
    const layer = { key: high, sha256: await sha256File(disk) } as Layer
    const request: ExportRequest = {
      image,
      layer,
      store: openStore(path('out', 'store')),
      outFolder: path('out'),
      estimate: () => undefined,
      emit: (event) => events.push(event),
      signal: never,
      ...over,
    }
    return { request, image, layer, events }
  }
  const name = 'sample-1.0-x86_64-kvm.qcow2'

  it('lie in images/ with their sums, under a name that says what they are', async () => {
    const { request, layer } = await prepare()
    const [result] = await exportImages(request)
    expect(result).toMatchObject({
      target: 'kvm',
      format: 'qcow2',
      path: `images/${name}`,
      madeFrom: layer.key,
    })
    expect(
      readdirSync(path('out', 'images'))
        .filter((file) => !file.startsWith('.'))
        .sort(),
    ).toEqual([name, 'sha256sum.txt', 'sha512sum.txt'].sort())
    execFileSync('sha256sum', ['--check', '--status', 'sha256sum.txt'], { cwd: path('out', 'images') })
  })

  it('are not made twice', async () => {
    const { request, image, layer, events } = await prepare()
    expect(await areExported(image, layer, path('out'))).toBe(false)
    const first = await exportImages(request)
    expect(await areExported(image, layer, path('out'))).toBe(true)
    events.length = 0
    expect(await exportImages(request)).toEqual(first)
    expect(events).toEqual([{ kind: 'image-finished', image: first[0], cached: true }])
  })

  it.each([
    [
      'another layer',
      (request: ExportRequest) => ({ ...request, layer: { ...request.layer, sha256: sha256('x') } }),
    ],
    [
      'other options',
      (request: ExportRequest) => ({
        ...request,
        image: { ...request.image, qcow2: { ...request.image.qcow2, compression: 'zstd' as const } },
      }),
    ],
    [
      'a file that was changed',
      (request: ExportRequest) => {
        truncateSync(path('out', 'images', name), 100)
        return request
      },
    ],
  ])('are made again for %s', async (_case, change) => {
    const { request, events } = await prepare()
    await exportImages(request)
    const changed = change(request)
    expect(await areExported(changed.image, changed.layer, path('out'))).toBe(false)
    events.length = 0
    await exportImages(changed)
    expect(events.at(-1)).toMatchObject({ kind: 'image-finished', cached: false })
    expect(existsSync(path('out', 'images', `${name}.partial`))).toBe(false)
    execFileSync('sha256sum', ['--check', '--status', 'sha256sum.txt'], { cwd: path('out', 'images') })
  })
})
