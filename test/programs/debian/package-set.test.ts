/** A package set is believed as far as the archives' signatures and its own list go, and no further. */

import { once } from 'node:events'
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { archivesOf } from '../../../src/debian/archives.ts'
import {
  debOf,
  indexFileOf,
  openPackageSet,
  releaseFileOf,
  renderSet,
  type SetArchive,
  type SetPackage,
  setFile,
} from '../../../src/debian/package-set.ts'
import { startSetServer } from '../../../src/debian/set-server.ts'
import { sha256 } from '../../../src/digest.ts'
import { requireFitSet } from '../../../src/provenance/fit-set.ts'
import type { Locked } from '../../../src/provenance/lock.ts'
import { systemvmImage } from '../../e2e/program.ts'
import { useFolder } from '../../support/folder.ts'
import { startMirror, type TestMirror } from '../../support/mirror.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
let mirror: TestMirror
beforeAll(async () => {
  mirror = await startMirror()
})
afterAll(() => mirror.close())

const versions = { zstd: '1.5', nano: '1:8.4-1' }
const stanza = (name: string, version: string, digest: string) =>
  `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nFilename: pool/${name}.deb\nSize: 9\nSHA256: ${digest}\n`
const contentOf = (name: string) => Buffer.from(`${name} .deb`.padEnd(9))
const index = Buffer.from(
  Object.entries({ ...versions, lost: '2' })
    .map(([name, version]) => stanza(name, version, sha256(contentOf(name))))
    .join('\n'),
)
const packagesOf = () =>
  Object.entries(versions).map(
    ([name, version]): SetPackage => ({
      name,
      version,
      architecture: 'amd64',
      sha256: sha256(contentOf(name)),
      sizeBytes: contentOf(name).length,
      url: `${mirror.debian}/pool/${name}.deb`,
    }),
  )

/** Writes a set of what the mirror serves. */
function writeSet(folder: string, packages = packagesOf()): void {
  mkdirSync(folder)
  const archives = ['trixie', 'trixie-updates', 'trixie-security'].map((suite): SetArchive => {
    const isSecurity = suite.endsWith('-security')
    const signed = mirror.read(`${isSecurity ? '/security' : '/debian'}/dists/${suite}/InRelease`)
    const text = suite === 'trixie' ? index : Buffer.alloc(0)
    writeFileSync(`${folder}/${releaseFileOf(sha256(signed))}`, signed)
    writeFileSync(`${folder}/${indexFileOf(sha256(text))}`, gzipSync(text))
    const url = isSecurity ? mirror.security : mirror.debian
    return { suite, url, architecture: 'amd64', sha256: sha256(signed), indexes: [sha256(text)] }
  })
  for (const one of packages) writeFileSync(`${folder}/${debOf(one)}`, contentOf(one.name))
  writeFileSync(`${folder}/${setFile}`, renderSet({ archives, packages }))
}

const imageOf = () =>
  sampleImage(path(), {
    mirror: { debian: mirror.debian, security: mirror.security, keyring: mirror.keyring },
  })

describeWith(['gpg', 'gpgv', 'xz'], 'a package set', () => {
  const set = () => path('packages')
  const deb = () => `${set()}/nano_1%3a8.4-1_amd64.deb`
  const open = () => openPackageSet(set(), never)
  beforeEach(() => {
    mirror.publish('trixie', { index })
    writeSet(set())
  })

  it('is the same text for the same packages, in whatever order', () => {
    const archives = [
      { suite: 'x', url: 'http://x', architecture: 'amd64', sha256: sha256('x'), indexes: [] },
    ]
    const packages = packagesOf()
    expect(renderSet({ archives, packages: [...packages].reverse() })).toBe(renderSet({ archives, packages }))
  })

  it('fits an image whose archives it has, with the checksums of a lock', async () => {
    const opened = await open()
    const locked = (digest: string): Locked => ({
      path: 'pipeline.lock.yaml',
      sha256: '',
      lock: {
        version: 1,
        variants: {
          'trixie-x86_64': {
            ...{ installer: 'bootstrap', snapshot: null, archives: {}, files: {}, tools: {} },
            packages: {
              nano: { version: '1:8.4-1', architecture: 'amd64', sha256: digest },
              own: { version: '1', architecture: '', sha256: null },
            },
          },
        },
      },
    })
    const image = await imageOf()
    await requireFitSet(image, opened, locked(sha256(contentOf('nano'))), never)
    const other = sha256('another file of the same version')
    await expect(requireFitSet(image, opened, locked(other), never)).rejects.toMatchObject({
      code: 'packages-missing',
      message: expect.stringContaining(`nano 1:8.4-1 (amd64), sha256 ${other}, where the set has`),
    })
  })

  it('is refused with a file of the same size in the place of one', async () => {
    writeFileSync(deb(), 'nano .DEB')
    await expect(open()).rejects.toMatchObject({
      code: 'packages-damaged',
      message: expect.stringContaining(`expected ${sha256(contentOf('nano'))}`),
    })
  })

  it('is refused with a file that nobody could read to its end', async () => {
    truncateSync(deb(), 2 ** 43)
    await expect(open()).rejects.toMatchObject({
      code: 'packages-damaged',
      message: expect.stringContaining(`it has ${2 ** 43} bytes, expected ${contentOf('nano').length}`),
    })
  })

  it('is refused without one of its packages, and says where that is to be had', async () => {
    rmSync(deb())
    const from = `sha256 ${sha256(contentOf('nano'))}, from ${mirror.debian}/pool/nano.deb`
    await expect(open()).rejects.toMatchObject({
      code: 'packages-missing',
      message: expect.stringContaining(`nano 1:8.4-1 (amd64), ${from}`),
    })
  })

  it.each([
    ['a foreign file', () => writeFileSync(`${set()}/evil_1_amd64.deb`, 'x'), 'is not in its list'],
    ['a folder', () => mkdirSync(`${set()}/dists`), 'is not a file'],
    [
      'a link out of it',
      () => {
        renameSync(deb(), path('outside.deb'))
        symlinkSync(path('outside.deb'), deb())
      },
      'is not a file',
    ],
    ['a list that is none', () => writeFileSync(`${set()}/${setFile}`, '{"version":1}'), 'is not the list'],
    [
      'names that lead out of it',
      () =>
        writeFileSync(
          `${set()}/${setFile}`,
          renderSet({
            archives: [
              { suite: 'x', url: 'http://x', architecture: 'amd64', sha256: sha256('x'), indexes: [] },
            ],
            packages: packagesOf(),
          }).replaceAll('"nano"', '"../nano"'),
        ),
      'is not the list',
    ],
    [
      'a package that is listed twice',
      () => {
        const { archives, packages } = JSON.parse(readFileSync(`${set()}/${setFile}`, 'utf8'))
        const other = { ...packages[0], sha256: sha256('another') }
        writeFileSync(`${set()}/${setFile}`, renderSet({ archives, packages: [other, ...packages] }))
      },
      'packages.json lists a package twice',
    ],
    ['no signed list', () => rmSync(`${set()}/${indexFileOf(sha256(index))}`), 'it has no'],
  ])('is refused with %s', async (_what, change, why) => {
    change()
    await expect(open()).rejects.toMatchObject({
      code: 'packages-unreadable',
      message: expect.stringContaining(why),
    })
  })

  it('is refused for another suite, and with lists that the archive did not sign', async () => {
    const opened = await open()
    const image = await imageOf()
    await expect(
      requireFitSet({ ...image, suite: 'bookworm' }, opened, undefined, never),
    ).rejects.toMatchObject({
      code: 'packages-unfit',
      message: expect.stringContaining('it has trixie (amd64)'),
    })
    await expect(
      requireFitSet({ ...image, debianArch: 'arm64' }, opened, undefined, never),
    ).rejects.toMatchObject({ code: 'packages-unfit', message: expect.stringContaining('no trixie (arm64)') })
    await expect(
      requireFitSet({ ...image, installer: 'debian-installer' }, opened, undefined, never),
    ).rejects.toMatchObject({ code: 'packages-unfit' })
    const other = await startMirror()
    try {
      const elsewhere = { ...image, mirror: { ...image.mirror, keyring: other.keyring } }
      await expect(requireFitSet(elsewhere, opened, undefined, never)).rejects.toMatchObject({
        code: 'mirror-unknown-signer',
      })
    } finally {
      other.close()
    }
  })

  it('serves what its archives have signed, reaches nothing else, and knows what was asked for in vain', async () => {
    const image = await imageOf()
    const server = await startSetServer(await open(), archivesOf(image), never)
    mirror.asked.length = 0
    const ask = (url: string) => viaProxy(server.port, url)
    try {
      const answer = await ask(`${mirror.debian}/dists/trixie/main/binary-amd64/Packages`)
      expect(answer).toEqual({ status: 200, body: index.toString() })
      expect(await ask(`${mirror.debian}/pool/nano.deb`)).toEqual({ status: 200, body: 'nano .deb' })
      expect(await ask(`${mirror.debian}/pool/lost.deb`)).toMatchObject({ status: 404 })
      expect(await ask('http://elsewhere/pool/zstd.deb')).toMatchObject({ status: 404 })
      expect(await ask(`${mirror.debian}/pool/../packages.json`)).toMatchObject({ status: 404 })
      expect(server.missing()).toEqual([
        {
          name: 'lost',
          version: '2',
          architecture: 'amd64',
          sha256: sha256(contentOf('lost')),
          sizeBytes: 9,
          url: `${mirror.debian}/pool/lost.deb`,
        },
      ])
      expect(mirror.asked).toEqual([])
    } finally {
      server.close()
    }
  })

  it('answers one request of each connection, however many are sent at once', async () => {
    const server = await startSetServer(await open(), archivesOf(await imageOf()), never)
    try {
      const url = `${mirror.debian}/pool/nano.deb`
      const socket = connect(server.port, '127.0.0.1')
      socket.write(`GET ${url} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(2000))
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      // It hangs up while requests are still on their way to it.
      socket.on('error', () => socket.destroy())
      await once(socket, 'close')
      expect(
        Buffer.concat(chunks)
          .toString()
          .match(/HTTP\/1\.1 200/g),
      ).toHaveLength(1)
      expect(await viaProxy(server.port, url)).toMatchObject({ status: 200, body: 'nano .deb' })
    } finally {
      server.close()
    }
  })

  it('keeps a build from asking for newer packages', async () => {
    const words = [
      'build',
      '--pipeline',
      tinyPipeline,
      '--out',
      path('out'),
      '--packages',
      set(),
      '--refresh',
    ]
    const { exitCode, stderr } = await systemvmImage(words, 120)
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('uses no archive')])
  })
})

/** Asks as apt asks a proxy. */
function viaProxy(port: number, url: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    request({ hostname: '127.0.0.1', port, path: url, headers: { host: new URL(url).host } }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      )
    })
      .on('error', reject)
      .end()
  })
}
