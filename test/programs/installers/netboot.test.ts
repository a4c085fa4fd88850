import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Mirror } from '../../../src/config/image.ts'
import { parseChecksums } from '../../../src/host/checksum-list.ts'
import { findNetboot } from '../../../src/installers/debian-installer/netboot.ts'
import { runGpg } from '../../support/gpg.ts'

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')

const missing = ['gpg', 'gpgv', 'dpkg-deb'].filter(
  (name) => spawnSync(name, ['--version']).error !== undefined,
)
if (missing.length > 0 && process.env.CI === 'true') throw new Error(`CI lacks ${missing.join(' and ')}`)

describe('a list of checksums', () => {
  it('names files as they lie below it', () => {
    const checksum = 'a'.repeat(64)
    const text = `${checksum}  ./netboot/linux\n${checksum} *plain\nnot a line\n`
    expect([...parseChecksums(text)]).toEqual([
      ['netboot/linux', checksum],
      ['plain', checksum],
    ])
  })
})

// Skipped without what signs the mirror and proves it, or makes its packages.
describe.skipIf(missing.length > 0)('netboot files (skipped where gpg, gpgv or dpkg-deb is missing)', () => {
  const images = 'main/installer-amd64/current/images'
  const below = 'netboot/debian-installer/amd64'
  const installedBelow = '13/amd64/text/debian-installer/amd64'
  let folder: string
  let keyring: string
  let deb: Buffer
  let server: Server
  let mirror: Mirror
  let routes: Map<string, string | Buffer>
  let asked: string[]
  let cacheFolder: string

  const gpg = (words: readonly string[], input = '') => runGpg(folder, words, input)

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keys-'))
    gpg(['--quick-generate-key', 'known <known@example.org>', 'ed25519', 'sign', 'never'])
    keyring = join(folder, 'archive.gpg')
    gpg(['--output', keyring, '--export'])
    const tree = join(folder, 'tree')
    const files = join(tree, 'usr/lib/debian-installer/images', installedBelow)
    mkdirSync(files, { recursive: true })
    mkdirSync(join(tree, 'DEBIAN'))
    writeFileSync(join(files, 'linux'), 'kernel of the package')
    writeFileSync(join(files, 'initrd.gz'), 'initrd of the package')
    const control = ['Package: debian-installer-13-netboot-amd64', 'Version: 1', 'Architecture: all']
    const rest = ['Maintainer: nobody <nobody@example.org>', 'Description: netboot', '']
    writeFileSync(join(tree, 'DEBIAN', 'control'), [...control, ...rest].join('\n'))
    spawnSync('dpkg-deb', ['--root-owner-group', '--build', tree, join(folder, 'netboot.deb')])
    deb = readFileSync(join(folder, 'netboot.deb'))
  })

  afterAll(() => {
    spawnSync('gpgconf', ['--homedir', folder, '--kill', 'all'])
    rmSync(folder, { recursive: true, force: true })
  })

  beforeEach(async () => {
    cacheFolder = mkdtempSync(join(folder, 'cache-'))
    routes = new Map()
    asked = []
    server = createServer((incoming, answer) => {
      asked.push(`${incoming.method} ${incoming.url}`)
      const body = routes.get(incoming.url ?? '')
      answer.statusCode = body === undefined ? 404 : 200
      answer.end(body ?? '')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const debian = `http://127.0.0.1:${port}/debian`
    mirror = { debian, security: debian, components: ['main'], keyring }
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  /** Publishes a suite that vouches for some files, and serves those of them that have a content. */
  function publish(files: Readonly<Record<string, string | Buffer>>): void {
    const all = { 'main/binary-amd64/Packages.xz': 'an index', ...files }
    const checksums = Object.entries(all).map(([path, data]) => ` ${sha256(data)} ${data.length} ${path}`)
    const fields = ['Codename: trixie', 'Date: Sat, 12 Sep 2026 07:55:41 UTC', 'Architectures: amd64']
    const text = [...fields, 'Components: main', 'SHA256:', ...checksums, ''].join('\n')
    routes.set('/debian/dists/trixie/InRelease', gpg(['--clearsign'], text))
    for (const [path, data] of Object.entries(files)) routes.set(`/debian/dists/trixie/${path}`, data)
  }

  const publishImages = () => {
    const checksums = ['linux', 'initrd.gz'].map(
      (name) => `${sha256(`${name} of the mirror`)}  ./${below}/${name}\n`,
    )
    publish({ [`${images}/SHA256SUMS`]: checksums.join('') })
    for (const name of ['linux', 'initrd.gz']) {
      routes.set(`/debian/dists/trixie/${images}/${below}/${name}`, `${name} of the mirror`)
    }
  }

  const publishPackage = () => {
    const facts = `Filename: pool/netboot.deb\nSize: ${deb.length}\nSHA256: ${sha256(deb)}\n`
    const index = gzipSync(`Package: debian-installer-13-netboot-amd64\n${facts}`)
    publish({ 'main/binary-amd64/Packages.gz': index })
    routes.set('/debian/pool/netboot.deb', deb)
  }

  const find = () =>
    findNetboot({
      image: { suite: 'trixie', debianVersion: 13, debianArch: 'amd64', mirror },
      cacheFolder,
      onProgress: () => undefined,
      signal: AbortSignal.timeout(60_000),
      installedFolder: join(folder, 'installed'),
    })

  it('are those of the installed package, without a word to the mirror', async () => {
    const kernel = join(folder, 'installed', installedBelow, 'linux')
    mkdirSync(dirname(kernel), { recursive: true })
    writeFileSync(kernel, '')
    writeFileSync(join(dirname(kernel), 'initrd.gz'), '')
    try {
      expect(await find()).toMatchObject({ kernel, source: 'package debian-installer-13-netboot-amd64' })
      expect(asked).toEqual([])
    } finally {
      rmSync(join(folder, 'installed'), { recursive: true })
    }
  })

  it("are the mirror's, proved by its signature, and downloaded once", async () => {
    publishImages()
    const { kernel, initrd } = await find()
    expect(readFileSync(kernel, 'utf8')).toBe('linux of the mirror')
    expect(readFileSync(initrd, 'utf8')).toBe('initrd.gz of the mirror')
    asked = []
    expect((await find()).initrd).toBe(initrd)
    expect(asked.filter((line) => line.includes(below))).toEqual([])
  })

  it('are downloaded again when what is kept was damaged', async () => {
    publishImages()
    const { kernel } = await find()
    writeFileSync(kernel, 'damaged')
    await find()
    expect(readFileSync(kernel, 'utf8')).toBe('linux of the mirror')
  })

  it('are refused when one is not what the signed list says, and nothing is kept', async () => {
    publishImages()
    routes.set(`/debian/dists/trixie/${images}/${below}/linux`, 'something else')
    await expect(find()).rejects.toMatchObject({ code: 'mirror-file-corrupt', exitCode: 3 })
    expect(readdirSync(cacheFolder)).toEqual([])
  })

  it("are those in the mirror's package, where it leaves out its images", async () => {
    publishPackage()
    const { kernel, initrd } = await find()
    expect(readFileSync(kernel, 'utf8')).toBe('kernel of the package')
    expect(readFileSync(initrd, 'utf8')).toBe('initrd of the package')
    expect(readdirSync(cacheFolder)).toEqual([sha256(deb)])
    asked = []
    await find()
    expect(asked.some((line) => line.endsWith('.deb'))).toBe(false)
  })

  it('are unpacked from the package that the index lists, whatever else is kept, and of the same size', async () => {
    publishPackage()
    const { kernel, initrd } = await find()
    for (const file of [kernel, initrd]) writeFileSync(file, readFileSync(file, 'utf8').toUpperCase())
    await find()
    expect(readFileSync(kernel, 'utf8')).toBe('kernel of the package')
    const kept = join(dirname(kernel), 'package.deb')
    writeFileSync(kept, Buffer.alloc(deb.length))
    await find()
    expect(readFileSync(kept).equals(deb)).toBe(true)
    expect(readFileSync(initrd, 'utf8')).toBe('initrd of the package')
  })

  it('are nowhere, which is said with the name of the package', async () => {
    publish({ 'main/binary-amd64/Packages.gz': gzipSync('') })
    const refused = expect(find()).rejects
    await refused.toMatchObject({ code: 'installer-no-netboot', exitCode: 3 })
  })
})
