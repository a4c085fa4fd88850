/**
 * A mirror for the installer where the real one serves only some udebs: the suite `udebs` has those that it does serve, and
 * those that it does not, made of the .debs that were built with them. All else is the real mirror's, signatures and all.
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzipSync } from 'node:zlib'
import { execa } from 'execa'
import { findListedPackage } from '../../src/debian/packages-index.ts'
import { fetchListed, parseFields, type ReleaseRequest, verifyRelease } from '../../src/debian/release.ts'
import { head } from '../../src/host/http.ts'

/** Name of the suite. */
export const udebSuite = 'udebs'

/** What every installation on an ext4 disk of virtio needs; the rest follows by their dependencies. */
const roots = [
  ...[
    'apt-mirror-setup',
    'apt-setup-udeb',
    'base-installer',
    'bootstrap-base',
    'clock-setup',
    'debootstrap-udeb',
  ],
  ...[
    'di-utils-mapdevfs',
    'disk-detect',
    'e2fsprogs-udeb',
    'finish-install',
    'grub-installer',
    'os-prober-udeb',
  ],
  ...['partman-auto', 'partman-base', 'partman-basicfilesystems', 'partman-basicmethods', 'partman-ext3'],
  ...['partman-partitioning', 'partman-target', 'partman-utils', 'pkgsel', 'tzsetup-udeb', 'user-setup-udeb'],
]

type Fields = ReadonlyMap<string, string>

/** What of which .debs makes a udeb that the mirror does not serve; an empty one will do where nothing of it is used. */
function recipeOf(name: string, kernel: string): Readonly<Record<string, readonly string[]>> | undefined {
  const modules = `usr/lib/modules/${kernel}/kernel`
  if (name === 'e2fsprogs-udeb') {
    return {
      e2fsprogs: ['sbin', 'usr/sbin', 'etc/mke2fs.conf'],
      libext2fs2t64: ['usr/lib/x86_64-linux-gnu'],
      'libcom-err2': ['usr/lib/x86_64-linux-gnu'],
    }
  }
  if (name.startsWith('ext4-modules-')) {
    return {
      [`linux-image-${kernel}`]: [
        'fs/ext4/ext4',
        'fs/jbd2/jbd2',
        'fs/mbcache',
        'lib/crc16',
        'crypto/crc32c_generic',
      ].map((path) => `${modules}/${path}.ko.xz`),
    }
  }
  // The disk of the machine; the rest of it is for real ones.
  if (name.startsWith('scsi-modules-')) {
    return { [`linux-image-${kernel}`]: [`${modules}/drivers/block/virtio_blk.ko.xz`] }
  }
  // partman-partitioning wants it for disks of Windows.
  return name === 'ntfs-3g-udeb' ? {} : undefined
}

export interface UdebMirror {
  readonly url: string
  /** Public key of the suite. */
  readonly keyring: string
  readonly close: () => void
}

/**
 * Makes the suite in `folder`, and serves it until it is closed.
 * @param kernel version of the installer's kernel, as `uname -r` says it
 */
export async function serveUdebs(
  request: ReleaseRequest,
  folder: string,
  kernel: string,
): Promise<UdebMirror> {
  const release = await verifyRelease(request)
  const indexOf = async (path: string) => {
    const listed = release.files.get(path)
    if (listed === undefined) throw new Error(`${request.url} has no ${path}`)
    const body = await fetchListed(`${request.url}/dists/${request.suite}/${path}`, listed)
    return (await promisify(gunzip)(body)).toString('utf8')
  }
  const udebs = await indexOf(`main/debian-installer/binary-${request.arch}/Packages.gz`)
  const debs = await indexOf(`main/binary-${request.arch}/Packages.gz`)
  const stanzas: string[] = []
  for (const [name, stanza] of choose(udebs, kernel)) {
    const fields = parseFields(stanza)
    const status = await head(`${request.url}/${fields.get('Filename')}`, undefined)
    const recipe = status === 200 ? undefined : recipeOf(name, kernel)
    if (status !== 200 && recipe === undefined) throw new Error(`${name} is not served, and nothing makes it`)
    stanzas.push(recipe === undefined ? stanza : await makeUdeb(fields, recipe, debs, request, folder))
  }
  const keyring = await sign(folder, stanzas, request.arch)
  return serve(request.url, folder, keyring)
}

/** The udebs that are wanted, by name, with what they depend on; what only an initrd has is not among them. */
function choose(index: string, kernel: string): ReadonlyMap<string, string> {
  const all = new Map(index.split('\n\n').map((stanza) => [parseFields(stanza).get('Package') ?? '', stanza]))
  const chosen = new Map<string, string>()
  const add = (name: string): void => {
    const stanza = all.get(name)
    if (stanza === undefined || chosen.has(name) || ofInitrd.test(name)) return
    chosen.set(name, stanza)
    for (const word of (parseFields(stanza).get('Depends') ?? '').split(','))
      add(word.trim().split(' ')[0] ?? '')
  }
  for (const name of [...roots, `ext4-modules-${kernel}-di`]) add(name)
  // Without what it depends on, which is for other disks.
  const disks = `scsi-modules-${kernel}-di`
  chosen.set(disks, (all.get(disks) ?? '').replace(/^Depends:.*\n/m, ''))
  return chosen
}

/** An older one of these in the index would be taken for newer than the initrd's own. */
const ofInitrd =
  /^(libc6|libdebian|libdebconf|libblkid1|libuuid1|gpgv|debian-archive-keyring|pciutils|cdebconf|kernel-image)|^(di-utils|rootskel|localechooser|hw-detect|archdetect|choose-mirror-bin)$/

/** Packs files of .debs as a udeb, and returns its stanza. */
async function makeUdeb(
  fields: Fields,
  recipe: Readonly<Record<string, readonly string[]>>,
  debs: string,
  request: ReleaseRequest,
  folder: string,
): Promise<string> {
  const name = fields.get('Package') ?? ''
  const tree = join(folder, 'work', name)
  await mkdir(join(tree, 'DEBIAN'), { recursive: true })
  for (const [deb, paths] of Object.entries(recipe)) {
    const unpacked = join(folder, 'work', `deb-${deb}`)
    const listed = findListedPackage(debs, deb)
    if (listed === undefined) throw new Error(`${request.url} has no ${deb}`)
    await mkdir(unpacked, { recursive: true })
    await writeFile(`${unpacked}.deb`, await fetchListed(`${request.url}/${listed.fileName}`, listed))
    await execa('dpkg-deb', ['--extract', `${unpacked}.deb`, unpacked])
    for (const path of paths) {
      if (await stat(join(unpacked, path)).catch(() => undefined)) {
        await cp(join(unpacked, path), join(tree, path), { recursive: true, verbatimSymlinks: true })
      }
    }
  }
  const kept = ['Package', 'Version', 'Architecture', 'Maintainer', 'Depends', 'Provides', 'Kernel-Version']
  // partman-partitioning's dependency on a filesystem of Windows ends here.
  const isEmpty = Object.keys(recipe).length === 0
  const lines = kept.flatMap((field) => {
    const value = fields.get(field)
    return value === undefined || (isEmpty && field === 'Depends') ? [] : [`${field}: ${value}`]
  })
  const control = [...lines, 'Section: debian-installer', 'Description: remade for a test', '']
  await writeFile(join(tree, 'DEBIAN', 'control'), control.join('\n'))
  await chmod(join(tree, 'DEBIAN'), 0o755)
  const file = join(folder, 'pool', `${name}.udeb`)
  await mkdir(join(folder, 'pool'), { recursive: true })
  await execa('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, file])
  const content = await readFile(file)
  const facts = [`Filename: udebs/${name}.udeb`, `Size: ${content.length}`, `SHA256: ${sha256(content)}`]
  const priority = `Priority: ${fields.get('Priority') ?? 'optional'}`
  return [...control.slice(0, -1), priority, ...facts].join('\n')
}

/** Writes the index and the Release file, signed by a key that is made for it. Returns the public key. */
async function sign(folder: string, stanzas: readonly string[], arch: string): Promise<string> {
  const dist = join(folder, 'dists')
  const index = `main/debian-installer/binary-${arch}/Packages.gz`
  await mkdir(join(dist, `main/debian-installer/binary-${arch}`), { recursive: true })
  const content = gzipSync(`${stanzas.map((stanza) => stanza.trim()).join('\n\n')}\n`)
  await writeFile(join(dist, index), content)
  const release = [
    `Codename: ${udebSuite}`,
    `Suite: ${udebSuite}`,
    `Date: ${new Date().toUTCString()}`,
    `Architectures: ${arch}`,
    'Components: main',
    'SHA256:',
    ` ${sha256(content)} ${content.length} ${index}`,
    '',
  ].join('\n')
  await writeFile(join(dist, 'Release'), release)
  const home = join(folder, 'gpg')
  await mkdir(home, { mode: 0o700 })
  const gpg = (...words: string[]) =>
    execa('gpg', ['--homedir', home, '--batch', '--yes', '--passphrase', '', ...words])
  await gpg('--quick-generate-key', 'udebs of a test', 'rsa3072', 'sign', 'never')
  await gpg('--detach-sign', '--armor', '--output', join(dist, 'Release.gpg'), join(dist, 'Release'))
  await gpg('--clearsign', '--output', join(dist, 'InRelease'), join(dist, 'Release'))
  const keyring = join(folder, 'udebs.gpg')
  await gpg('--output', keyring, '--export')
  await execa('gpgconf', ['--homedir', home, '--kill', 'all'], { reject: false })
  return keyring
}

/** What is not ours, the real mirror has. */
async function serve(upstream: string, folder: string, keyring: string): Promise<UdebMirror> {
  const ours = new Map<string, string>()
  for (const [path, below] of [
    [`/debian/dists/${udebSuite}`, 'dists'],
    ['/debian/udebs', 'pool'],
  ] as const) {
    for (const name of await readdir(join(folder, below), { recursive: true })) {
      ours.set(`${path}/${name}`, join(folder, below, name))
    }
  }
  const server = await serveMirror(upstream, (path) => {
    // Of a folder that is ours, nothing else is there.
    return ours.get(path) ?? (path.startsWith(`/debian/dists/${udebSuite}/`) ? 'missing' : 'upstream')
  })
  return { ...server, keyring }
}

/** A mirror that has everything but udebs, as many do, and lists them all the same. */
export function serveMirrorWithoutUdebs(upstream: string): Promise<Omit<UdebMirror, 'keyring'>> {
  return serveMirror(upstream, (path) => (path.endsWith('.udeb') ? 'missing' : 'upstream'))
}

/** @param find the file that is a path's content, or where else it is */
async function serveMirror(
  upstream: string,
  find: (path: string) => string | 'missing' | 'upstream',
): Promise<Omit<UdebMirror, 'keyring'>> {
  const server = createServer((incoming, answer) => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://any')
    const found = find(pathname)
    if (found === 'missing') return void answer.writeHead(404).end()
    if (found !== 'upstream') return void createReadStream(found).pipe(answer)
    answer.writeHead(302, { location: `${upstream}${pathname.replace(/^\/debian/, '')}` }).end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/debian`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function sha256(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}
