import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { installHostPackages, setUpHost } from '../../../src/doctor/host-packages.ts'
import { type PackerSource, withPackerPackage } from '../../../src/doctor/packer-package.ts'
import { quote } from '../../../src/host/shell-words.ts'
import { hostTools } from '../../../src/host/tool-table.ts'
import { useFolder } from '../../support/folder.ts'
import { runGpg } from '../../support/gpg.ts'
import { describeWith } from '../../support/tools.ts'

const inFolder = useFolder()
const lines: string[] = []

/** A program that logs how it was called. */
function fake(name: string, body: string): void {
  mkdirSync(inFolder('bin'), { recursive: true })
  writeFileSync(inFolder('bin', name), `#!/bin/sh\necho "${name} $*" >> ${inFolder('calls')}\n${body}\n`)
  chmodSync(inFolder('bin', name), 0o755)
}

const calls = () => readFileSync(inFolder('calls'), 'utf8').trim().split('\n')
const optionsFor = (packer?: PackerSource) => ({
  yes: true,
  asRoot: true,
  path: inFolder('bin'),
  onOutput: (line: string) => void lines.push(line),
  packer,
})

beforeEach(() => {
  lines.length = 0
  fake('apt-get', '')
  fake('apt-cache', 'for name; do echo "$name:"; echo "  Candidate: 1"; done')
})

describeWith(['gpg', 'gpgv'], "Debian 12's package of Packer", () => {
  const deb = Buffer.from('a package')
  const indexPath = '/debian/dists/bookworm/main/binary-amd64/Packages.gz'
  const debPath = '/debian/pool/main/p/packer/packer_1.6.6_amd64.deb'
  let keys: string
  let server: Server
  let source: PackerSource
  let files: Map<string, Buffer | string>

  beforeAll(() => {
    keys = mkdtempSync(join(tmpdir(), 'keys-'))
    gpg(['--quick-generate-key', 'archive@example.org', 'ed25519', 'sign', 'never'])
    gpg(['--output', join(keys, 'archive.gpg'), '--export'])
  })

  afterAll(() => {
    spawnSync('gpgconf', ['--homedir', keys, '--kill', 'all'])
    rmSync(keys, { recursive: true, force: true })
  })

  beforeEach(async () => {
    server = createServer((request, answer) => {
      const file = files.get(request.url ?? '')
      answer.statusCode = file === undefined ? 404 : 200
      answer.end(file)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const mirror = `http://127.0.0.1:${port}/debian`
    source = { mirror, suite: 'bookworm', keyring: join(keys, 'archive.gpg'), arch: 'amd64' }
    publish('packer')
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  it('is handed over as the file that was vouched for, and is gone afterwards', async () => {
    let path = ''
    await withPackerPackage(source, async (given) => {
      path = given
      expect(readFileSync(path)).toEqual(deb)
    })
    expect(path).toMatch(/\/packer_1\.6\.6_amd64\.deb$/)
    expect(existsSync(path)).toBe(false)
  })

  it('is gone when its installation fails, too', async () => {
    let path = ''
    const failing = withPackerPackage(source, async (given) => {
      path = given
      throw new Error('no space')
    })
    await expect(failing).rejects.toThrow('no space')
    expect(existsSync(path)).toBe(false)
  })

  it.each([
    ['the package is another', () => files.set(debPath, 'b package'), 'mirror-file-corrupt'],
    ['the package is cut short', () => files.set(debPath, 'a pack'), 'mirror-file-corrupt'],
    ['the package is not served', () => files.delete(debPath), 'mirror-http-status'],
    ['the index is another', () => files.set(indexPath, gzipSync('')), 'mirror-file-corrupt'],
    ['the index has no packer', () => publish('packer-doc'), 'setup-packer-missing'],
    ['nobody signed', () => files.set('/debian/dists/bookworm/InRelease', 'unsigned'), 'mirror-unsigned'],
  ])('is not installed when %s', async (_case, change, code) => {
    change()
    const install = async () => expect.unreachable()
    await expect(withPackerPackage(source, install)).rejects.toMatchObject({ code, exitCode: 3 })
  })

  it('is installed where apt has none, after all others, and that is said in one line', async () => {
    fake('apt-cache', 'echo "packer:"; echo "  Candidate: (none)"; echo "zstd:"; echo "  Candidate: 1"')
    await installHostPackages(['packer', 'zstd'], optionsFor(source))
    expect(calls().slice(2)).toEqual([
      'apt-get install -y --no-install-recommends zstd',
      expect.stringMatching(/^apt-get install -y --no-install-recommends \/.*\/packer_1\.6\.6_amd64\.deb$/),
    ])
    expect(lines.filter((line) => line.includes('bookworm'))).toEqual([
      `this release has no packer: installing bookworm's from ${source.mirror}, verified with Debian's signature`,
    ])
  })

  it('is not asked for where apt has one', async () => {
    files.clear()
    await installHostPackages(['packer'], optionsFor(source))
    expect(calls().at(-1)).toBe('apt-get install -y --no-install-recommends packer')
  })

  const gpg = (words: readonly string[], input = '') => runGpg(keys, words, input)

  /** A signed archive with one package of some name. */
  function publish(name: string): void {
    const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')
    const stanza = (packageName: string) =>
      [
        `Package: ${packageName}`,
        'Version: 1.6.6',
        `Filename: ${debPath.slice('/debian/'.length)}`,
        `Size: ${deb.length}`,
        `SHA256: ${sha256(deb)}`,
        '',
      ].join('\n')
    const index = gzipSync(`${stanza('pack')}\n${stanza(name)}\n`)
    const release = [
      'Suite: oldstable',
      'Codename: bookworm',
      'Date: Sat, 12 Sep 2026 07:55:41 UTC',
      'Architectures: all amd64',
      'Components: main',
      'SHA256:',
      ` ${sha256(index)} ${index.length} main/binary-amd64/Packages.gz`,
      '',
    ]
    files = new Map<string, Buffer | string>([
      ['/debian/dists/bookworm/InRelease', gpg(['--clearsign'], release.join('\n'))],
      [indexPath, index],
      [debPath, deb],
    ])
  }
})

it('setting up ends when every program is there', async () => {
  const programs = hostTools().flatMap(({ name, file }) => (file === undefined ? inFolder('bin', name) : []))
  fake(
    'apt-get',
    `[ "$1" = update ] || for path in ${programs.map(quote).join(' ')}; do
      printf '#!/bin/sh\\necho 99.0 packer-plugin-qemu\\n' >"$path"; chmod 755 "$path"
    done`,
  )
  await setUpHost({ path: inFolder('bin'), keyring: inFolder('calls') }, optionsFor())
  expect(lines.at(-1)).toBe('every program is installed now')
})

describe('a Packer that has no QEMU builder of its own', () => {
  const install = 'packer plugins install github.com/hashicorp/qemu'

  /** Every other program is there, and Packer has its plugin once it is installed. */
  function fakePacker(installs: string): void {
    for (const { name, file } of hostTools()) {
      if (file === undefined) fake(name, 'echo 99.0')
    }
    const plugin = inFolder('plugin')
    fake(
      'packer',
      `case "$*" in
        version) echo 'Packer v1.12.0' ;;
        'plugins installed') if [ -e ${quote(plugin)} ]; then echo packer-plugin-qemu; fi ;;
        *) ${installs} ;;
      esac`,
    )
  }
  const search = () => ({ path: inFolder('bin'), keyring: inFolder('calls') })

  it('is given its plugin, for the user and not for root', async () => {
    fakePacker(`touch ${quote(inFolder('plugin'))}`)
    fake('sudo', 'exec "$@"')
    await setUpHost(search(), { ...optionsFor(), asRoot: false })
    expect(calls()).toContain(install)
    expect(calls().filter((call) => call.startsWith('sudo'))).toEqual([])
    expect(lines).toContain(`"${install}" installs packer-plugin-qemu`)
    expect(lines.at(-1)).toBe('every program is installed now')
  })

  it('is left alone unless that was confirmed', async () => {
    fakePacker('exit 1')
    await expect(setUpHost(search(), { ...optionsFor(), yes: false })).rejects.toMatchObject({
      code: 'setup-incomplete',
      hint: `run: ${install}`,
    })
    expect(calls()).not.toContain(install)
  })

  it('says why, and what to run, if its plugin cannot be had', async () => {
    fakePacker('echo "rate limit exceeded" >&2; exit 1')
    await expect(setUpHost(search(), optionsFor())).rejects.toMatchObject({
      code: 'setup-plugin-failed',
      exitCode: 3,
      message: expect.stringMatching(/^packer failed to install its plugin: [\s\S]*rate limit exceeded/),
      hint: expect.stringContaining(`${inFolder('bin')}/${install}`),
    })
  })
})

it('setting up fails when a program is too old after all was installed, and says which was found', async () => {
  fake('mmdebstrap', 'echo "mmdebstrap 0.8.4"')
  await expect(
    setUpHost({ path: inFolder('bin'), keyring: inFolder('calls') }, optionsFor()),
  ).rejects.toMatchObject({
    code: 'setup-incomplete',
    exitCode: 3,
    message: expect.stringContaining(
      `mmdebstrap 1.3 or newer (package mmdebstrap); found 0.8.4 at ${inFolder('bin', 'mmdebstrap')}`,
    ),
  })
})
