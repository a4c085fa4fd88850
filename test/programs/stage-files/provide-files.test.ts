import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createSocket, type Server } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { configure_systemvm_services } from '../../../provisioners/configure_systemvm_services.ts'
import { install_xen_tools } from '../../../provisioners/install_xen_tools.ts'
import { formatFound } from '../../../src/config/faults.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { sha256 } from '../../../src/digest.ts'
import { listTree } from '../../../src/host/hash-file.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { provideFiles } from '../../../src/stage-files/provide-files.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { sound } from '../../support/pipelines.ts'

const path = useFolder()
/** A tree in the shape of CloudStack's `systemvm/debian`. */
const tree = fileURLToPath(new URL('../../fixtures/cloudstack-payload', import.meta.url))

async function imageWith(payload: string): Promise<ResolvedImage> {
  const { images } = await resolvePipeline({ ...sound, stages: [configure_systemvm_services({ payload })] })
  return images[0] as ResolvedImage
}

async function bring(payload: string): Promise<ResolvedImage> {
  const [image] = await provideFiles([await imageWith(payload)], path('cache', 'files'))
  return image as ResolvedImage
}

const payloadOf = (image: ResolvedImage) => image.stages[0]?.files.payload as string
const keyOf = async (image: ResolvedImage) =>
  (await planImage(image, openStore(path('store')))).stages[0]?.key

function pack(from: string, ...words: string[]): string {
  const tarball = path('payload.tgz')
  execFileSync('tar', ['--create', '--gzip', '--file', tarball, '--directory', from, ...words], {
    stdio: 'pipe',
  })
  return tarball
}
const checksumOf = (file: string) => sha256(readFileSync(file))

/** The rule of the one fault that is found, wherever: on reading the configuration or on bringing its files. */
async function faultOf(payload: string): Promise<string> {
  const error = await bring(payload).then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toMatchObject({ code: 'configuration', exitCode: 2 })
  const [fault] = error.details.faults
  expect(fault).toMatchObject({
    path: 'stages.configure_systemvm_services.files.payload',
    found: formatFound(payload),
  })
  return fault.rule
}

describe("a stage's files", () => {
  it('are this project’s own unless told otherwise', async () => {
    const { images } = await resolvePipeline({ ...sound, stages: [configure_systemvm_services()] })
    const [image] = await provideFiles(images, path('cache', 'files'))
    expect(readdirSync(payloadOf(image as ResolvedImage)).sort()).toEqual(['etc', 'opt'])
    expect(existsSync(path('cache'))).toBe(false)
  })

  it('may be a folder, which stays where it is', async () => {
    expect(payloadOf(await bring(tree))).toBe(tree)
  })

  it('is unpacked again where something else of the same size is kept', async () => {
    const tarball = pack(tree, '.')
    const folder = payloadOf(await bring(tarball))
    const before = await listTree(folder)
    const [file = ''] = Object.keys(before)
    const content = readFileSync(`${folder}/${file}`)
    writeFileSync(`${folder}/${file}`, Buffer.alloc(content.length, 'x'))
    writeFileSync(`${folder}/added`, '')
    expect(payloadOf(await bring(tarball))).toBe(folder)
    expect(await listTree(folder)).toEqual(before)
  })

  it('may be a tarball, which gives the same tree with the same modes, and so the same layer', async () => {
    const image = await bring(pack(tree, '.'))
    expect(await listTree(payloadOf(image))).toEqual(await listTree(tree))
    expect(await keyOf(image)).toBe(await keyOf(await bring(tree)))
    expect(await keyOf(image)).not.toBe(await keyOf(await imageWith('./payload')))
  })

  it('may be a URL, which is asked once', async () => {
    const tarball = pack(tree, '.')
    let asked = 0
    const server = createServer((_request, response) => {
      asked += 1
      response.end(readFileSync(tarball))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/payload.tgz`
    try {
      const source = `${url}#sha256=${checksumOf(tarball)}`
      expect(await listTree(payloadOf(await bring(source)))).toEqual(await listTree(tree))
      expect(await listTree(payloadOf(await bring(source)))).toEqual(await listTree(tree))
      expect(asked).toBe(1)
      expect(await faultOf(`${url}#sha256=${'0'.repeat(64)}`)).toBe(
        `has a different sha256, ${checksumOf(tarball)}`,
      )
    } finally {
      server.closeAllConnections?.()
      server.close()
    }
  })

  it('that a server does not have are a fault', async () => {
    const server = createServer((_request, response) => response.writeHead(404).end('gone'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/payload.tgz`
    try {
      expect(await faultOf(`${url}#sha256=${'0'.repeat(64)}`)).toBe('cannot be downloaded: HTTP status 404')
    } finally {
      server.closeAllConnections?.()
      server.close()
    }
  })

  it('are checked against the checksum of a tarball at hand as well', async () => {
    const tarball = pack(tree, '.')
    await bring(`${tarball}#sha256=${checksumOf(tarball).toUpperCase()}`)
    const checksum = '0'.repeat(64)
    expect(await faultOf(`${tarball}#sha256=${checksum}`)).toBe(
      `has a different sha256, ${checksumOf(tarball)}`,
    )
  })

  it.each([
    [
      'a URL without a checksum',
      'https://example.org/x.tgz',
      'must end in #sha256= or #sha512= and the checksum of the tarball',
    ],
    [
      'half a checksum',
      'https://example.org/x.tgz#sha256=12',
      'must have 64 hexadecimal digits after #sha256=',
    ],
    ['another protocol', `ftp://example.org/x#sha256=${'0'.repeat(64)}`, 'must be a URL of http or https'],
    ['nothing there', '/nowhere/payload.tgz', 'must be a folder or a tarball that exists'],
  ])('are refused before anything is fetched: %s', async (_what, payload, rule) => {
    expect(await faultOf(payload)).toBe(rule)
    expect(existsSync(path('cache'))).toBe(false)
  })

  it('have to begin where a system does', async () => {
    mkdirSync(path('higher', 'debian'), { recursive: true })
    expect(await faultOf(path('higher'))).toMatch(/^has "debian" at its top, where only boot, etc, /)
    mkdirSync(path('empty'))
    expect(await faultOf(path('empty'))).toBe('is empty')
  })
})

function makeSparse(file: string): void {
  writeFileSync(file, '')
  truncateSync(file, 1024 ** 4)
}

it('a tarball that takes too much memory is refused, and told apart from a damaged one', async () => {
  const tarball = path('payload.txz')
  const words = ['--create', '--xz', '--file', tarball, '--directory', tree, '.']
  execFileSync('tar', words, {
    env: { ...process.env, XZ_OPT: '--lzma2=preset=0,dict=512MiB' },
    stdio: 'pipe',
  })
  expect(await faultOf(tarball)).toBe('takes more memory to unpack than 256 MiB')
})

it('a tarball of terabytes is refused before it is read', async () => {
  makeSparse(path('huge.tar'))
  expect(await faultOf(path('huge.tar'))).toBe('has 1.0 TiB; the limit is 2.0 GiB')
})

describe('a folder with what no tarball may have', () => {
  const isRoot = process.getuid?.() === 0
  const inTree = (name: string) => path('tree', 'etc', name)
  const strange: readonly (readonly [string, () => unknown, string | RegExp])[] = [
    [
      'a FIFO',
      () => execFileSync('mkfifo', [inTree('pipe')]),
      'has a FIFO in it, etc/pipe, where only files, folders and links are allowed',
    ],
    [
      'a sparse file of terabytes',
      () => makeSparse(inTree('huge')),
      'has the file etc/huge in it, of 1.0 TiB; the limit is 2.0 GiB',
    ],
    ['a socket', () => listenAt(inTree('socket')), /^has a socket in it, etc\/socket, where only files/],
    [
      'a name that is not UTF-8',
      () => writeFileSync(nameOf(inTree('a'), 0xff), ''),
      'has a name in it that is not UTF-8: etc/a\\xff',
    ],
    [
      'a folder with such a name',
      () => mkdirSync(nameOf(inTree('a'), 0xc3)),
      'has a name in it that is not UTF-8: etc/a\\xc3',
    ],
    [
      'a link that leads out',
      () => symlinkSync('../../outside', inTree('link')),
      'has the link etc/link -> ../../outside in it, which leads out of it',
    ],
    ...(isRoot
      ? [
          [
            'a device',
            () => execFileSync('mknod', [inTree('null'), 'c', '1', '3']),
            /^has a device in it, etc\/null,/,
          ] as const,
        ]
      : [
          [
            'a file that cannot be read',
            () => writeFileSync(inTree('mine'), '', { mode: 0 }),
            'has the file etc/mine in it, which cannot be read',
          ] as const,
        ]),
  ]
  const nameOf = (start: string, byte: number) => Buffer.concat([Buffer.from(start), Buffer.from([byte])])
  const servers: Server[] = []
  const listenAt = async (file: string) => {
    const server = createSocket().listen(file)
    servers.push(server)
    await once(server, 'listening')
  }
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
    // What Node's own `rm` does not find under its name.
    execFileSync('rm', ['-rf', path('tree')])
  })

  it.each(strange)('is refused: %s', async (_what, make, rule) => {
    mkdirSync(path('tree', 'etc'), { recursive: true })
    await make()
    expect(await faultOf(path('tree'))).toMatch(rule)
  })

  it.each(strange)("is refused in CloudStack's sources: %s", async (_what, make, rule) => {
    mkdirSync(path('tree', 'etc'), { recursive: true })
    await make()
    for (const name of ['systemvm', 'scripts/util']) mkdirSync(path('sources', name), { recursive: true })
    writeFileSync(path('sources', 'scripts', 'util', 'keystore-setup'), '')
    renameSync(path('tree'), path('sources', 'systemvm', 'debian'))
    expect(await faultOf(path('sources'))).toMatch(rule)
    execFileSync('rm', ['-rf', path('sources')])
  })

  it('is another layer with one more empty folder', async () => {
    mkdirSync(path('tree', 'etc'), { recursive: true })
    writeFileSync(inTree('file'), '')
    const before = await keyOf(await bring(path('tree')))
    mkdirSync(inTree('empty'))
    expect(await keyOf(await bring(path('tree')))).not.toBe(before)
  })
})

describe('one file', () => {
  async function bringTool(vhdUtil: string) {
    const { images } = await resolvePipeline({ ...sound, stages: [install_xen_tools({ vhdUtil })] })
    return provideFiles(images, path('cache', 'files'))
  }

  it('is brought as it is, in a folder of its own', async () => {
    writeFileSync(path('vhd-util'), 'elf')
    const [image] = await bringTool(`${path('vhd-util')}#sha256=${checksumOf(path('vhd-util'))}`)
    const folder = image?.stages[0]?.files.vhd_util as string
    expect(readdirSync(folder)).toEqual(['vhd-util'])
    expect(readFileSync(`${folder}/vhd-util`, 'utf8')).toBe('elf')
  })

  it('needs a checksum, and has to have it', async () => {
    writeFileSync(path('vhd-util'), 'elf')
    const faults = (source: string) => bringTool(source).catch((error) => error.details.faults[0].rule)
    expect(await faults(path('vhd-util'))).toBe('must end in #sha256= or #sha512= and its checksum')
    const wrong = '0'.repeat(64)
    expect(await faults(`${path('vhd-util')}#sha256=${wrong}`)).toMatch(/^has a different sha256, /)
  })

  it('that nobody has named leaves its stage out', async () => {
    const { images } = await resolvePipeline({ ...sound, stages: [install_xen_tools()] })
    expect(images[0]?.stages).toEqual([])
  })
})

describe('a tarball behind a URL', () => {
  it('that was never downloaded is left out by a verb that only looks, and its layer has to be made', async () => {
    const url = `http://127.0.0.1:9/payload.tgz#sha256=${'0'.repeat(64)}`
    const [image] = await provideFiles([await imageWith(url)], path('cache', 'files'), 'leave out')
    expect(image?.stages[0]).toMatchObject({ files: {}, absent: ['payload'] })
    const { stages } = await planImage(image as ResolvedImage, openStore(path('store')))
    expect(stages[0]).toMatchObject({ cached: undefined, reason: 'payload is not downloaded' })
    expect(existsSync(path('cache'))).toBe(false)
  })

  it('that a build has downloaded is there for such a verb', async () => {
    const tarball = pack(tree, '.')
    const server = createServer((_, response) => response.end(readFileSync(tarball)))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/payload.tgz#sha256=${checksumOf(tarball)}`
    const image = await bring(url)
    await new Promise((resolve) => server.close(resolve))
    const [looked] = await provideFiles([await imageWith(url)], path('cache', 'files'), 'leave out')
    expect(payloadOf(looked as ResolvedImage)).toBe(payloadOf(image))
  })
})

describe('a tarball', () => {
  const content = (name: string) => {
    mkdirSync(path('tree', 'etc'), { recursive: true })
    writeFileSync(path('tree', 'etc', name), 'x\n')
  }
  const hostile: readonly [string, () => string, RegExp][] = [
    [
      'a name that leads out',
      () => pack(path('tree'), '--absolute-names', '--transform=s,^etc/file,../file,', 'etc/file'),
      /^has the name \.\.\/file in it, which leads out of it$/,
    ],
    [
      'an absolute name',
      () => pack(path('tree'), '--absolute-names', '--transform=s,^etc,/etc,', 'etc/file'),
      /^has the absolute name \/etc\/file in it$/,
    ],
    [
      'a link that leads out',
      () => {
        symlinkSync('../../outside', path('tree', 'etc', 'link'))
        return pack(path('tree'), '.')
      },
      /^has the link etc\/link -> \.\.\/\.\.\/outside in it, which leads out of it$/,
    ],
    [
      'a link that leads out by way of another',
      () => {
        mkdirSync(path('tree', 'a', 'b'), { recursive: true })
        symlinkSync('../..', path('tree', 'a', 'b', 'up'))
        symlinkSync('up/..', path('tree', 'a', 'b', 'out'))
        return pack(path('tree'), '.')
      },
      /^has the link a\/b\/out -> up\/\.\. in it/,
    ],
    [
      'a name that is not UTF-8',
      () => {
        const name = Buffer.concat([Buffer.from(path('tree', 'etc', 'a')), Buffer.from([0xff])])
        writeFileSync(name, '')
        const tarball = pack(path('tree'), '.')
        rmSync(name)
        return tarball
      },
      /^has a name in it that is not UTF-8: \.\/etc\/a\\xff$/,
    ],
    [
      'a pipe',
      () => {
        execFileSync('mkfifo', [path('tree', 'etc', 'pipe')])
        return pack(path('tree'), '.')
      },
      /^contains something other than files, folders and links: prw/,
    ],
    [
      'no tar at all',
      () => {
        writeFileSync(path('payload.tgz'), 'hello\n')
        return path('payload.tgz')
      },
      /^is not a tarball that tar can read/,
    ],
  ]

  it.each(hostile)('is refused with %s in it, and leaves nothing unpacked', async (_what, make, rule) => {
    content('file')
    expect(await faultOf(make())).toMatch(rule)
    expect(readdirSync(path('cache', 'files'))).toEqual([])
    expect(existsSync(path('cache', 'file'))).toBe(false)
  })

  it('keeps links to the guest’s own paths, and within', async () => {
    content('file')
    symlinkSync('/usr/bin/true', path('tree', 'etc', 'absolute'))
    symlinkSync('file', path('tree', 'etc', 'within'))
    const image = await bring(pack(path('tree'), '.'))
    expect(await listTree(payloadOf(image))).toMatchObject({
      'etc/absolute': 'link /usr/bin/true',
      'etc/within': 'link file',
    })
  })

  it('is unpacked again where its folder was lost', async () => {
    const image = await bring(pack(tree, '.'))
    rmSync(payloadOf(image), { recursive: true })
    expect(await listTree(payloadOf(await bring(path('payload.tgz'))))).toEqual(await listTree(tree))
  })
})
