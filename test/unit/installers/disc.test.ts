import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { discKeyring, findDisc, inArchive } from '../../../src/installers/debian-installer/disc.ts'
import { readIsoFile } from '../../../src/installers/debian-installer/iso9660.ts'

const block = 2048

/** A record of a folder: where a file lies, how long it is, and its name. */
function record(name: string, at: number, size: number, isFolder: boolean): Buffer {
  const bytes = Buffer.alloc(33 + name.length + ((name.length + 1) % 2))
  bytes[0] = bytes.length
  bytes.writeUInt32LE(at, 2)
  bytes.writeUInt32LE(size, 10)
  bytes[25] = isFolder ? 2 : 0
  bytes[32] = name.length
  bytes.write(name, 33, 'latin1')
  return bytes
}

/** A disc with one folder, `install.amd`, whose records fill more than a block, and two files in it. */
function makeDisc(): Buffer {
  const disc = Buffer.alloc(24 * block)
  disc.write('CD001', 16 * block + 1)
  record('\0', 18, block, true).copy(disc, 16 * block + 156)
  record('INSTALL.AMD', 19, 2 * block, true).copy(disc, 18 * block)
  record('VMLINUZ.;1', 22, 6, false).copy(disc, 19 * block)
  record('INITRD.GZ;1', 23, 6, false).copy(disc, 20 * block)
  disc.write('kernel', 22 * block)
  disc.write('initrd', 23 * block)
  return disc
}

let folder: string
let server: Server
let origin: string
let routes: Map<string, Buffer>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'disc-'))
  routes = new Map()
  server = createServer((incoming, answer) => {
    const body = routes.get(incoming.url ?? '')
    answer.statusCode = body === undefined ? 404 : 200
    answer.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const disc = makeDisc()
const sha256 = createHash('sha256').update(disc).digest('hex')
const find = (url: string, checksum = sha256) =>
  findDisc({
    iso: { url, sha256: checksum },
    image: { debianArch: 'amd64' },
    cacheFolder: folder,
    onProgress: () => undefined,
    signal: AbortSignal.timeout(30_000),
  })

describe('a file of a disc', () => {
  it('is found by its name in any case, also in the second block of its folder', async () => {
    const image = join(folder, 'image.iso')
    writeFileSync(image, disc)
    expect(await readIsoFile(image, 'install.amd/vmlinuz')).toEqual(Buffer.from('kernel'))
    expect(await readIsoFile(image, '/install.amd/initrd.gz')).toEqual(Buffer.from('initrd'))
    for (const path of ['install.a64/vmlinuz', 'install.amd', 'install.amd/vmlinuz/more']) {
      expect(await readIsoFile(image, path), path).toBeUndefined()
    }
  })

  it('is in no file that is no disc', async () => {
    const image = join(folder, 'image.iso')
    writeFileSync(image, Buffer.alloc(40 * block))
    await expect(readIsoFile(image, 'a')).rejects.toThrow('not an ISO 9660')
  })
})

// Skipped with Debian's keys on the host: then a disc that nobody signed is refused, as it should be.
describe.skipIf(existsSync(discKeyring))("a disc (skipped where Debian's keys for discs are)", () => {
  it('is downloaded once, and has its kernel and initrd taken out', async () => {
    routes.set('/debian-cd/13.1.0/amd64/iso-cd/a.iso', disc)
    const medium = await find(`${origin}/debian-cd/13.1.0/amd64/iso-cd/a.iso`)
    expect(readFileSync(medium.kernel, 'utf8')).toBe('kernel')
    expect(readFileSync(medium.initrd, 'utf8')).toBe('initrd')
    routes.clear()
    expect((await find(`${origin}/debian-cd/13.1.0/amd64/iso-cd/a.iso`)).disc).toBe(medium.disc)
  })

  it('is looked for in the archive when its release has moved there', async () => {
    routes.set('/cdimage/archive/13.0.0/amd64/iso-cd/a.iso', disc)
    await expect(find(`${origin}/debian-cd/13.0.0/amd64/iso-cd/a.iso`)).resolves.toBeDefined()
  })

  it('is refused when it is nowhere, or not the one', async () => {
    const url = `${origin}/debian-cd/13.0.0/amd64/iso-cd/a.iso`
    await expect(find(url)).rejects.toMatchObject({ code: 'disc-missing' })
    routes.set('/debian-cd/13.0.0/amd64/iso-cd/a.iso', disc)
    await expect(find(url, '0'.repeat(64))).rejects.toMatchObject({ code: 'disc-corrupt' })
  })
})

describe('the archive of older releases', () => {
  it("has a release's discs under its number, and none of the current link", () => {
    const path = 'amd64/iso-cd/debian-13.1.0-amd64-netinst.iso'
    expect(inArchive(`https://cdimage.debian.org/debian-cd/13.1.0/${path}`)).toBe(
      `https://cdimage.debian.org/cdimage/archive/13.1.0/${path}`,
    )
    const current = `https://cdimage.debian.org/debian-cd/current/${path}`
    expect(inArchive(current)).toBe(current)
  })
})
