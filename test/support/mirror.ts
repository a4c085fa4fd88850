/** A Debian mirror on this host, with its own signatures: a main archive with updates, and a security archive. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { sha256 } from '../../src/digest.ts'
import { runGpg } from './gpg.ts'

export interface Published {
  /** Versions by name; with a source package after a slash: `libssl3t64/openssl`. */
  readonly packages?: Readonly<Record<string, string>>
  /** The complete index instead. */
  readonly index?: Buffer
  /** More fields for some of them, by package name. */
  readonly fields?: Readonly<Record<string, string>>
  /** @default a minute ago */
  readonly date?: Date
  readonly validUntil?: Date
}

export interface TestMirror {
  readonly debian: string
  readonly security: string
  readonly keyring: string
  /** Command-line arguments for comparing with this mirror. */
  readonly words: readonly string[]
  /** Publishes a new version of a suite, e.g. `trixie-security`. */
  readonly publish: (suite: string, published?: Published) => void
  /** Publishes empty archives of trixie. */
  readonly publishEmpty: () => void
  /** Serves other bytes for a path. */
  readonly serve: (path: string, bytes: Buffer | undefined) => void
  readonly read: (path: string) => Buffer
  /** Everything that is currently served, by path. */
  readonly all: () => ReadonlyMap<string, Buffer>
  /** Paths that were requested. */
  readonly asked: string[]
  readonly close: () => void
}

/** Publishes empty archives of trixie. The security archive has its index compressed only by xz, like Debian's. */
export async function startMirror(): Promise<TestMirror> {
  const home = mkdtempSync(join(tmpdir(), 'mirror-'))
  const keyring = join(home, 'keyring.gpg')
  runGpg(home, ['--quick-generate-key', 'mirror@example.org', 'ed25519', 'sign', 'never'])
  runGpg(home, ['--output', keyring, '--export'])
  const files = new Map<string, Buffer>()
  const asked: string[] = []
  const server = createServer(({ url = '' }, answer) => {
    asked.push(url)
    const bytes = files.get(url)
    answer.statusCode = bytes === undefined ? 404 : 200
    answer.end(bytes)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const removeKeys = () => {
    spawnSync('gpgconf', ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  }
  // Test files that do not use it directly need not close it.
  server.unref()
  process.once('exit', removeKeys)
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const [debian, security] = [`${origin}/debian`, `${origin}/security`]

  const publish: TestMirror['publish'] = (
    suite,
    { packages = {}, fields = {}, index: whole, date, validUntil } = {},
  ) => {
    const isSecurity = suite.endsWith('-security')
    const stanzas = Object.entries(packages).map((one) => renderStanza(one, fields))
    const index = whole ?? Buffer.from(stanzas.join('\n'))
    const packing = isSecurity ? '.xz' : '.gz'
    const packed = isSecurity ? compressXz(index) : gzipSync(index)
    const below = `${isSecurity ? '/security' : '/debian'}/dists/${suite}`
    const name = 'main/binary-amd64/Packages'
    const text = [
      `Suite: ${suite}`,
      `Codename: ${suite}`,
      `Date: ${(date ?? new Date(Date.now() - 60_000)).toUTCString()}`,
      ...(validUntil === undefined ? [] : [`Valid-Until: ${validUntil.toUTCString()}`]),
      'Architectures: amd64',
      'Components: main',
      'SHA256:',
      ` ${sha256(index)} ${index.length} ${name}`,
      ` ${sha256(packed)} ${packed.length} ${name}${packing}`,
      '',
    ].join('\n')
    writeFileSync(join(home, 'Release'), text)
    runGpg(home, ['--yes', '--output', join(home, 'InRelease'), '--clearsign', join(home, 'Release')])
    files.set(`${below}/InRelease`, readFileSync(join(home, 'InRelease')))
    files.set(`${below}/${name}${packing}`, packed)
  }
  const publishEmpty = () => {
    for (const suite of ['trixie', 'trixie-updates', 'trixie-security']) publish(suite)
  }
  publishEmpty()
  return {
    debian,
    security,
    keyring,
    words: Object.entries({ debian, security, keyring }).flatMap(([name, value]) => [
      '--set',
      `freshness.${name}=${value}`,
    ]),
    publish,
    publishEmpty,
    serve: (path, bytes) => {
      if (bytes === undefined) files.delete(path)
      else files.set(path, bytes)
    },
    read: (path) => files.get(path) as Buffer,
    all: () => new Map(files),
    asked,
    close: () => {
      server.closeAllConnections()
      server.close()
      process.off('exit', removeKeys)
      removeKeys()
    },
  }
}

function renderStanza(
  [names, version]: readonly [string, string],
  more: Readonly<Record<string, string>>,
): string {
  const [name = '', source] = names.split('/')
  const from = source === undefined ? '' : `Source: ${source}\n`
  const extra = more[name] === undefined ? '' : `${more[name]}\n`
  const file = `Filename: pool/${name}_${version}.deb\nSize: 1\nSHA256: ${sha256(`${name} ${version}`)}\n`
  return `Package: ${name}\n${from}Description: Version: 99 of it\nVersion: ${version}\nArchitecture: amd64\n${file}${extra}`
}

function compressXz(bytes: Buffer): Buffer {
  return spawnSync('xz', ['--stdout'], { input: bytes }).stdout
}
