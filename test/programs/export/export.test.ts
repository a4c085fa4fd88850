import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { sha256 } from '../../../src/digest.ts'
import { imageNode } from '../../../src/disk/block-node.ts'
import { PipelineError } from '../../../src/errors.ts'
import { writeWhole } from '../../../src/export/partial-file.ts'
import { exportQcow2 } from '../../../src/formats/qcow2.ts'
import { flattenDisk, type RawDisk } from '../../../src/formats/raw-disk.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { areExported, type ExportRequest, exportImages } from '../../../src/make/export-images.ts'
import type { BuildEvent } from '../../../src/report/events.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { kvm } from '../../../src/targets/kvm.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const defaults = { compat: '1.1', compression: 'zlib' } as const
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

describe('a file that is written as a whole', () => {
  /** Writes half of it, and then what happens. */
  const half = (then: () => void) => async (partial: string) => {
    writeFileSync(partial, 'half')
    then()
  }
  const left = () => readdirSync(path()).map((name) => `${name}: ${readFileSync(path(name), 'utf8')}`)

  it('has its name only when it is whole', async () => {
    await writeWhole(path('image'), `${path('image')}.partial`, never, async (partial) => {
      writeFileSync(partial, 'whole')
      expect(existsSync(path('image'))).toBe(false)
    })
    expect(left()).toEqual(['image: whole'])
  })

  it.each([
    [
      'ENOSPC: no space left on device, write',
      'ENOSPC',
      'its disk is full',
      /^free some space there and run/,
    ],
    ['Command failed with exit code 1', undefined, 'Command failed with exit code 1', /^fix that and run/],
  ])('leaves what was there when it fails: %s', async (message, code, said, hint) => {
    writeFileSync(path('image'), 'before')
    const write = half(() => {
      throw Object.assign(new Error(message), { code })
    })
    await expect(writeWhole(path('image'), `${path('image')}.partial`, never, write)).rejects.toMatchObject({
      code: 'export-failed',
      message: `the image ${path('image')} could not be made: ${said}`,
      hint: expect.stringMatching(hint),
    })
    expect(left()).toEqual(['image: before'])
  })

  it('leaves nothing when it is interrupted, and that is no failure of the export', async () => {
    const stopping = new AbortController()
    const interrupted = new Error('interrupted')
    const write = half(() => {
      stopping.abort(interrupted)
      throw new Error('Command was killed')
    })
    await expect(writeWhole(path('image'), `${path('image')}.partial`, stopping.signal, write)).rejects.toBe(
      interrupted,
    )
    expect(left()).toEqual([])
  })

  it('takes the place of what a killed run left of it', async () => {
    writeFileSync(path('image.partial'), 'a long rest of another run')
    await writeWhole(path('image'), `${path('image')}.partial`, never, async (partial) =>
      writeFileSync(partial, 'whole'),
    )
    expect(left()).toEqual(['image: whole'])
  })
})

describeWith(['qemu-img', 'qemu-io'], 'an export', () => {
  const flatten = (layer: string) => flattenDisk(imageNode('qcow2', layer), path('store', 'flat.raw'), never)
  const exportTo = async (
    options: Pick<ResolvedImage['formats']['kvm'], 'compat' | 'compression'> = defaults,
    progress: (fraction: number) => void = () => undefined,
  ) => {
    const disk = await flatten(makeLayers(path('store'), 'low', 'high'))
    await exportQcow2(disk, path('image.qcow2'), options, progress, never)
  }

  it('has the content of all layers and stands on none of them', async () => {
    await exportTo()
    const file = path('image.qcow2')
    expect(info(file)).toMatchObject({ 'virtual-size': 16 * 1024 * 1024 })
    expect(info(file)['backing-filename']).toBeUndefined()
    const content = ['0x41 0 512k', '0x42 512k 64k', '0x41 8M 64k', '0x42 15M 64k', '0 2M 1M']
    for (const pattern of content) {
      expect(qemu('qemu-io', '-r', '-c', `read -P ${pattern}`, file)).not.toContain('verification failed')
    }
    // Two megabytes and more of data: it is compressed.
    expect(readFileSync(file).length).toBeLessThan(1024 * 1024)
  })

  it('is the same, byte for byte, when it is made again', async () => {
    await exportTo()
    const disk = await flatten(path('store', 'high.qcow2'))
    await exportQcow2(disk, path('again.qcow2'), defaults, () => undefined, never)
    expect(await sha256File(path('again.qcow2'))).toBe(await sha256File(path('image.qcow2')))
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
    await exportTo(defaults, (fraction) => told.push(fraction))
    expect(told.at(-1)).toBe(1)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
  })

  const failing = async (disk: RawDisk, signal = never) => {
    const failure = writeWhole(path('image.qcow2'), `${path('image.qcow2')}.partial`, signal, (partial) =>
      exportQcow2(disk, partial, defaults, () => undefined, signal),
    )
    return (await failure.catch((error: unknown) => error)) as PipelineError
  }

  it('that fails says why, and leaves no file, not even a part of one', async () => {
    const error = await failing({ path: path('no-such.raw'), sizeBytes: 1, extents: [] })
    expect(error).toBeInstanceOf(PipelineError)
    expect(error.code).toBe('export-failed')
    expect(error.message).toContain(path('image.qcow2'))
    expect(error.message).toContain('no-such.raw')
    expect(readdirSync(path())).toEqual([])
  })

  it('that fails leaves the image that was there', async () => {
    await exportTo()
    const before = await sha256File(path('image.qcow2'))
    const gone = { path: path('no-such.raw'), sizeBytes: 1, extents: [] }
    expect((await failing(gone)).code).toBe('export-failed')
    expect(await sha256File(path('image.qcow2'))).toBe(before)
    expect(readdirSync(path()).sort()).toEqual(['image.qcow2', 'store'])
  })

  it('that is interrupted is no failure of the export, and leaves nothing', async () => {
    const disk = await flatten(makeLayers(path('store'), 'low', 'high'))
    const interrupted = new Error('interrupted')
    expect(await failing(disk, AbortSignal.abort(interrupted))).toBe(interrupted)
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
      layerDisk: disk,
      outFolder: path('out'),
      estimate: () => undefined,
      emit: (event) => events.push(event),
      signal: never,
      ...over,
    }
    return { request, image, layer, events }
  }
  const name = 'sample-1.0-x86_64-kvm.qcow2'

  it('lie in images/ with their checksums, under a name that says what they are', async () => {
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
    ).toEqual([name, 'md5sum.txt', 'sha256sum.txt', 'sha512sum.txt'].sort())
    execFileSync('sha256sum', ['--check', '--status', 'sha256sum.txt'], { cwd: path('out', 'images') })
  })

  it('are registered where they are system VMs', async () => {
    const { request, image } = await prepare()
    const verification = { ...image.verification, contract: 'cloudstack' } as const
    await exportImages({ ...request, image: { ...image, verification } })
    expect(readFileSync(path('out', 'images', 'metadata.ini'), 'utf8')).toContain(`filename = ${name}\n`)
  })

  it('tell how far they are, and that their checksums are computed', async () => {
    const { request, events } = await prepare()
    await exportImages(request)
    const told = events.flatMap((event) =>
      event.kind === 'part-progress' && event.name === 'export kvm' ? [event.text] : [],
    )
    expect(told.at(-1)).toBe('checksums')
    expect(told.at(-2)).toBe('100 %')
    expect(told.length).toBe(new Set(told).size)
    expect(told.length).toBeGreaterThan(3)
  })

  it('for Hyper-V are of the format that they are written in, whatever an older record says', async () => {
    const formats = { hyperv: { container: 'vhdx' } } as const
    const image = await sampleImage(path(), { targets: ['hyperv'], formats })
    const { request } = await prepare({ image })
    const [made] = await exportImages(request)
    expect(made?.format).toBe('vhdx')
    const record = path('out', 'images', '.sample-1.0-x86_64-hyperv.vhdx.json')
    writeFileSync(record, readFileSync(record, 'utf8').replace('"vhdx"', '"vhd"'))
    expect(await exportImages(request)).toEqual([made])
  })

  it('whose checksums cannot be listed are no bug of the program', async () => {
    const { request } = await prepare()
    mkdirSync(path('out', 'images', 'sha256sum.txt'), { recursive: true })
    await expect(exportImages(request)).rejects.toMatchObject({
      code: 'export-failed',
      message: expect.stringContaining(`the list of checksums with ${path('out', 'images', name)}`),
    })
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
        image: {
          ...request.image,
          formats: {
            ...request.image.formats,
            kvm: { ...request.image.formats.kvm, compression: 'zstd' as const },
          },
        },
      }),
    ],
    [
      'a writer that makes other bytes',
      (request: ExportRequest) => {
        const { revision } = kvm
        Object.assign(kvm, { revision: revision + 1 })
        onTestFinished(() => void Object.assign(kvm, { revision }))
        return request
      },
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
