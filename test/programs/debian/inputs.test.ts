/** What an image was made from: read from a disk whose apt lists are signed here. */

import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { ReleaseRequest } from '../../../src/debian/release.ts'
import { sha256 } from '../../../src/digest.ts'
import { type DiskFiles, openDisk } from '../../../src/disk/disk-files.ts'
import { readAptLists } from '../../../src/provenance/apt-lists.ts'
import { makeDisk, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { runGpg } from '../../support/gpg.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal

const programs = ['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img', 'gpg', 'gpgv']

describeWith(programs, 'the lists of a guest’s apt', () => {
  const index = `Package: other
Version: 1
Architecture: amd64
Filename: pool/other.deb
Size: 90
SHA256: ${'1'.repeat(64)}

Package: libc6
Version: 2.41-12
Architecture: amd64
Filename: pool/libc6.deb
Size: 100
SHA256: ${'2'.repeat(64)}
`
  const prefix = 'var/lib/apt/lists/mirror.example_debian_dists_trixie_'
  const indexName = 'main_binary-amd64_Packages'
  let request: ReleaseRequest
  let disk: DiskFiles | undefined

  beforeEach(() => {
    mkdirSync(path('gpg'), { mode: 0o700 })
    gpg('--quick-generate-key', 'known@example.org', 'rsa2048', 'sign', 'never')
    gpg('--output', path('keyring.gpg'), '--export')
    request = {
      url: 'http://mirror.example/debian',
      suite: 'trixie',
      keyring: path('keyring.gpg'),
      components: ['main'],
      arch: 'amd64',
    }
  })
  afterEach(async () => {
    await disk?.close()
    disk = undefined
    spawnSync('gpgconf', ['--homedir', path('gpg'), '--kill', 'all'])
  })

  const gpg = (...words: string[]) => runGpg(path('gpg'), words)

  function sign(text: string): Buffer {
    writeFileSync(path('Release'), text)
    gpg('--yes', '--output', path('InRelease'), '--clearsign', path('Release'))
    return readFileSync(path('InRelease'))
  }

  const release = (content: string, extra = '') => `Suite: stable
Codename: trixie
Date: Sat, 12 Sep 2026 07:55:41 UTC
${extra}Architectures: amd64
Components: main
SHA256:
 ${sha256(content)} ${content.length} main/binary-amd64/Packages
`

  async function readLists(tree: Tree, names: readonly string[] = ['libc6']) {
    const from = makeTree(path('tree'), { 'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n', ...tree })
    makeFilesystem(path('root'), { type: 'ext4', sizeMiB: 10, from, label: 'root' })
    makeDisk(path('disk.raw'), 14, 'label: dos\nunit: sectors\n1 : start=2048, size=20480, type=83\n', {
      2048: path('root'),
    })
    disk = await openDisk(path('disk.raw'), { format: 'raw', workFolder: path(), signal: never })
    return readAptLists(disk, [request], new Set(names), never)
  }

  it('say which archive it was, who signed it, and the checksum of every package’s file', async () => {
    const signed = sign(release(index, 'Valid-Until: Sun, 13 Sep 2026 00:00:00 UTC\n'))
    const { archives, entries } = await readLists({
      [`${prefix}InRelease`]: signed,
      [`${prefix}${indexName}`]: index,
    })
    expect(archives).toEqual([
      {
        suite: 'trixie',
        url: 'http://mirror.example/debian',
        codename: 'trixie',
        date: '2026-09-12T07:55:41.000Z',
        sha256: sha256(signed),
        signers: [expect.stringMatching(/^[0-9A-F]{40}$/)],
      },
    ])
    expect([...entries.values()]).toEqual([
      {
        name: 'libc6',
        version: '2.41-12',
        architecture: 'amd64',
        sha256: '2'.repeat(64),
        file: 'pool/libc6.deb',
        sizeBytes: 100,
      },
    ])
  })

  it('are refused where one is not what was signed', async () => {
    const signed = sign(release(index))
    const changed = index.replace('2222', '3333')
    const reading = readLists({ [`${prefix}InRelease`]: signed, [`${prefix}${indexName}`]: changed })
    await expect(reading).rejects.toMatchObject({ code: 'apt-list-unproved' })
  })

  it('are refused where the signature is not good', async () => {
    const signed = sign(release(index)).toString().replace('Codename: trixie', 'Codename: trixie2')
    await expect(readLists({ [`${prefix}InRelease`]: signed })).rejects.toMatchObject({
      code: 'mirror-bad-signature',
    })
  })

  it('may be absent', async () => {
    expect((await readLists({})).archives).toEqual([])
  })
})
