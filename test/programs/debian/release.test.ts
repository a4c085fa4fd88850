import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ReleaseRequest, verifyRelease } from '../../../src/debian/release.ts'
import { checkUdebs } from '../../../src/doctor/checks/mirrors.ts'
import { contextOf } from '../../../src/doctor/host-checks.ts'
import { PipelineError } from '../../../src/errors.ts'
import { probeUdebs, probeUdebsOf } from '../../../src/installers/debian-installer/udebs.ts'
import { runGpg } from '../../support/gpg.ts'

const missing = ['gpg', 'gpgv'].filter((name) => spawnSync(name, ['--version']).error !== undefined)
if (missing.length > 0 && process.env.CI === 'true') throw new Error(`CI lacks ${missing.join(' and ')}`)

const arch = 'amd64'
const udebIndex = `main/debian-installer/binary-${arch}/Packages.gz`

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')

/** An archive of one suite, as a mirror publishes it, before it is signed. */
function releaseText(
  fields: Record<string, string> = {},
  files: Record<string, Buffer | string> = {},
): string {
  const content = { [`main/binary-${arch}/Packages.xz`]: 'an index', ...files }
  const all = {
    Origin: 'Debian',
    Suite: 'stable',
    Codename: 'trixie',
    Date: 'Sat, 12 Sep 2026 07:55:41 UTC',
    Architectures: 'all amd64 arm64',
    Components: 'main contrib',
    // Checksums that must not be taken for the SHA256 ones.
    MD5Sum: `\n 0123456789abcdef0123456789abcdef 8 main/binary-${arch}/Packages.lzma`,
    SHA256: Object.entries(content)
      .map(([path, data]) => `\n ${sha256(data)} ${data.length} ${path}`)
      .join(''),
    ...fields,
  }
  return Object.entries(all)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('')
}

// Skipped without what signs the mirror, and what proves it.
describe.skipIf(missing.length > 0)(`a mirror (skipped where gpg or gpgv is missing)`, () => {
  let folder: string
  let keyring: string
  let server: Server
  let request: ReleaseRequest
  let routes: Map<string, { status?: number; body?: string | Buffer; reset?: number }>
  let asked: string[]

  const gpg = (words: readonly string[], input = '') => runGpg(folder, words, input)

  function sign(text: string, ...signers: string[]): string {
    const by = (signers.length === 0 ? ['known'] : signers).flatMap((name) => [
      '--local-user',
      `${name}@example.org`,
    ])
    return gpg([...by, '--clearsign'], text)
  }

  const serve = (path: string, body: string | Buffer, status = 200) => routes.set(path, { status, body })
  const serveRelease = (text: string | Buffer) => serve('/debian/dists/trixie/InRelease', text)

  async function refusal(changes: Partial<ReleaseRequest> = {}): Promise<PipelineError> {
    const outcome = await verifyRelease({ ...request, ...changes }).catch((error: unknown) => error)
    expect(outcome).toBeInstanceOf(PipelineError)
    const error = outcome as PipelineError
    expect(error.exitCode).toBe(3)
    expect(error.hint).toBeTruthy()
    return error
  }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'keys-'))
    for (const name of ['known', 'stranger']) {
      gpg(['--quick-generate-key', `${name} <${name}@example.org>`, 'ed25519', 'sign', 'never'])
    }
    const past = ['--faked-system-time', '20200101T000000']
    gpg([...past, '--quick-generate-key', 'old <old@example.org>', 'ed25519', 'sign', '2y'])
    keyring = join(folder, 'archive.gpg')
    // Its signatures may be by any digest.
    gpg(['--quick-generate-key', 'rsa <rsa@example.org>', 'rsa2048', 'sign', 'never'])
    gpg(['--output', keyring, '--export', 'known@example.org', 'old@example.org', 'rsa@example.org'])
  })

  afterAll(() => {
    spawnSync('gpgconf', ['--homedir', folder, '--kill', 'all'])
    rmSync(folder, { recursive: true, force: true })
  })

  beforeEach(async () => {
    routes = new Map()
    asked = []
    server = createServer((incoming, answer) => {
      const url = incoming.url ?? ''
      asked.push(`${incoming.method} ${url}`)
      const route = routes.get(url)
      if (route?.reset !== undefined && route.reset-- > 0) return void incoming.socket.destroy()
      answer.statusCode = route?.status ?? (route === undefined ? 404 : 200)
      answer.end(route?.body ?? '')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    request = { url: `http://127.0.0.1:${port}/debian`, suite: 'trixie', keyring, components: ['main'], arch }
  })

  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  it('is accepted with its date, its signer and the files it vouches for', async () => {
    serveRelease(sign(releaseText()))
    const release = await verifyRelease(request)
    expect(release).toMatchObject({ codename: 'trixie', suite: 'stable' })
    expect(release.date).toEqual(new Date('2026-09-12T07:55:41Z'))
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg(['--with-colons', '--list-keys', 'known']))?.[1]
    expect(release.signers).toEqual([fingerprint])
    expect([...release.files]).toEqual([
      [`main/binary-${arch}/Packages.xz`, { sha256: sha256('an index'), size: 8 }],
    ])
  })

  it('may be asked for by the name of its suite', async () => {
    serve('/debian/dists/stable/InRelease', sign(releaseText()))
    expect(await verifyRelease({ ...request, suite: 'stable' })).toMatchObject({ codename: 'trixie' })
  })

  it('is judged by what was signed, not by text around it', async () => {
    serveRelease(`Codename: forged\n\n${sign(releaseText())}\nCodename: forged\n`)
    expect(await verifyRelease(request)).toMatchObject({ codename: 'trixie' })
  })

  it('is accepted when one of its two signers is known here', async () => {
    serveRelease(sign(releaseText(), 'known', 'stranger'))
    expect((await verifyRelease(request)).signers).toHaveLength(1)
  })

  it('may call its components updates/main, as the security archive does', async () => {
    serveRelease(sign(releaseText({ Components: 'updates/main updates/contrib' })))
    await expect(verifyRelease(request)).resolves.toBeDefined()
  })

  it('is refused when one byte was changed, with what gpgv says', async () => {
    serveRelease(sign(releaseText()).replace('Suite: stable', 'Suite: stabie'))
    const error = await refusal()
    expect(error.code).toBe('mirror-bad-signature')
    expect(error.message).toContain('BAD signature from "known <known@example.org>"')
  })

  it('is refused when it was cut short', async () => {
    const signed = sign(releaseText())
    serveRelease(signed.slice(0, signed.indexOf('-----BEGIN PGP SIGNATURE')))
    expect(['mirror-unsigned', 'mirror-bad-signature']).toContain((await refusal()).code)
  })

  it('is refused when two signed texts stand in one file', async () => {
    serveRelease(sign(releaseText()) + sign(releaseText({ Codename: 'sid' })))
    expect((await refusal()).code).toBe('mirror-bad-signature')
  })

  it('is refused when it unpacks to much more than it has, which would end the program', async () => {
    const file = join(folder, 'large.gpg')
    const words = ['--output', file, '--compress-level', '9', '--local-user', 'known@example.org', '--sign']
    gpg(words, '\0'.repeat(110 * 1024 ** 2))
    serveRelease(readFileSync(file))
    const error = await refusal()
    expect(error.code).toBe('mirror-bad-signature')
    expect(error.message).toContain('more than')
  })

  it('is refused when one of its signatures is not of this text, whichever comes first', async () => {
    const [own, others] = [sign(releaseText()), sign(releaseText({ Codename: 'sid' }))]
    const at = own.indexOf('-----BEGIN PGP SIGNATURE')
    const signatures = others.slice(others.indexOf('-----BEGIN PGP SIGNATURE'))
    for (const both of [own + signatures, own.slice(0, at) + signatures + own.slice(at)]) {
      serveRelease(both)
      expect((await refusal()).code).toBe('mirror-bad-signature')
    }
  })

  it('is refused when it is not signed at all', async () => {
    serveRelease('<html>please log in</html>')
    const error = await refusal()
    expect(error.code).toBe('mirror-unsigned')
    expect(error.hint).toContain('captive portal')
  })

  it('is refused when only a stranger signed it, with the key and where keys come from', async () => {
    serveRelease(sign(releaseText(), 'stranger'))
    const error = await refusal()
    expect(error.code).toBe('mirror-unknown-signer')
    const keyId = /^pub:(?:[^:]*:){3}([0-9A-F]{16}):/m.exec(
      gpg(['--with-colons', '--list-keys', 'stranger']),
    )?.[1]
    expect(keyId).toBeDefined()
    expect(error.message).toContain(keyId)
    expect(error.hint).toContain('debian-archive-keyring')
  })

  it('is refused when the key of its only signature has expired', async () => {
    const past = ['--faked-system-time', '20210101T000000']
    const by = ['--local-user', 'old@example.org', '--clearsign']
    serveRelease(gpg([...past, ...by], releaseText()))
    expect((await refusal()).code).toBe('mirror-bad-signature')
  })

  it('is refused after Valid-Until, and accepted from a snapshot', async () => {
    serveRelease(sign(releaseText({ 'Valid-Until': 'Sat, 19 Sep 2026 07:55:41 UTC' })))
    const late = { now: new Date('2026-09-20T00:00:00Z') }
    await expect(verifyRelease(request, late)).rejects.toMatchObject({ code: 'mirror-expired', exitCode: 3 })
    const early = { now: new Date('2026-09-18T00:00:00Z') }
    await expect(verifyRelease(request, early)).resolves.toBeDefined()
    const snapshot = { ...request, snapshot: '20260912T080000Z' }
    await expect(verifyRelease(snapshot, late)).resolves.toBeDefined()
  })

  it.each([
    ['a carriage return', '\r'],
    ['spaces and a carriage return', ' \t\r'],
    ['many spaces', ' '.repeat(18_000)],
  ])(
    'is refused after Valid-Until with %s at the ends of its lines, which no signature covers',
    async (_case, end) => {
      const late = { now: new Date('2026-09-20T00:00:00Z') }
      const signed = sign(releaseText({ 'Valid-Until': 'Sat, 19 Sep 2026 07:55:41 UTC' }))
      serveRelease(signed.replace(/^Valid-Until: .*$/m, (line) => `${line}${end}`))
      await expect(verifyRelease(request, late)).rejects.toMatchObject({ code: 'mirror-expired' })
      serveRelease(signed.replace(/^[A-Z][\w-]+: .*$/gm, (line) => `${line}${end}`))
      await expect(verifyRelease(request, late)).rejects.toMatchObject({ code: 'mirror-expired' })
      const early = await verifyRelease(request, { now: new Date('2026-09-18T00:00:00Z') })
      expect(early).toMatchObject({ codename: 'trixie', suite: 'stable' })
    },
  )

  it('is refused when it is of tomorrow, and accepted when clocks differ by seconds', async () => {
    serveRelease(sign(releaseText()))
    const at = (time: string) => verifyRelease(request, { now: new Date(time) })
    await expect(at('2026-09-11T07:55:41Z')).rejects.toMatchObject({
      code: 'mirror-not-yet-valid',
      exitCode: 3,
      message: expect.stringContaining('Sat, 12 Sep 2026 07:55:41 GMT') as string,
    })
    await expect(at('2026-09-12T07:55:33Z')).resolves.toBeDefined()
  })

  it.each([
    ['no zone', 'Sat, 12 Sep 2026 07:55:41'],
    ['a zone of its own', 'Sat, 12 Sep 2026 07:55:41 +0200'],
    ['no time', '12 Sep 2026'],
  ])('is refused when its date has %s, which could mean any hour', async (_case, text) => {
    serveRelease(sign(releaseText({ Date: text })))
    expect((await refusal()).code).toBe('mirror-bad-signature')
  })

  it('is refused when Valid-Until cannot be read', async () => {
    serveRelease(sign(releaseText({ 'Valid-Until': 'soon' })))
    expect((await refusal()).code).toBe('mirror-expired')
  })

  it('is refused when its only signature is by SHA-1, and accepted with another by SHA-512', async () => {
    const weakly = ['--digest-algo', 'SHA1', '--local-user', 'rsa@example.org', '--clearsign']
    const weak = gpg(weakly, releaseText())
    serveRelease(weak)
    const error = await refusal()
    expect(error).toMatchObject({ code: 'mirror-bad-signature' })
    expect(error.message).toContain('SHA-1')
    serveRelease(gpg(['--digest-algo', 'SHA512', ...weakly.slice(2)], releaseText()))
    await expect(verifyRelease(request)).resolves.toBeDefined()
  })

  it.each([
    ['another suite', { Codename: 'sid', Suite: 'unstable' }, 'mirror-suite-mismatch', 'sid / unstable'],
    ['no such architecture', { Architectures: 'all arm64' }, 'mirror-architecture-missing', 'all, arm64'],
    ['no such component', { Components: 'contrib' }, 'mirror-component-missing', 'contrib'],
    ['no SHA256 of its index', { SHA256: '' }, 'mirror-index-missing', 'main/binary-amd64/Packages'],
    ['no date', { Date: 'yesterday' }, 'mirror-bad-signature', 'yesterday'],
  ])('is refused with %s', async (_case, fields, code, found) => {
    serveRelease(sign(releaseText(fields)))
    const error = await refusal()
    expect(error.code).toBe(code)
    expect(error.message).toContain(found)
  })

  it('is refused without the suite, or with another HTTP status', async () => {
    expect((await refusal()).code).toBe('mirror-lacks-suite')
    serve('/debian/dists/trixie/InRelease', '', 503)
    const error = await refusal()
    expect(error.code).toBe('mirror-http-status')
    expect(error.message).toContain('503')
    expect(asked).toHaveLength(2)
  })

  it('is asked again once when the connection is reset, and no more than once', async () => {
    routes.set('/debian/dists/trixie/InRelease', { body: sign(releaseText()), reset: 1 })
    await expect(verifyRelease(request)).resolves.toBeDefined()
    expect(asked).toHaveLength(2)
    routes.set('/debian/dists/trixie/InRelease', { reset: 9 })
    expect((await refusal()).code).toBe('mirror-unreachable')
    expect(asked).toHaveLength(4)
  })

  it('is named with the cause when nobody listens there', async () => {
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const error = await refusal()
    expect(error.code).toBe('mirror-unreachable')
    expect(error.message).toContain(`127.0.0.1:${port}`)
    expect(error.message).toContain('ECONNREFUSED')
  })

  it('is not asked at all without a keyring', async () => {
    const error = await refusal({ keyring: join(folder, 'none.gpg') })
    expect(error.code).toBe('keyring-missing')
    expect(asked).toEqual([])
  })

  it('is left alone when the caller gives up', async () => {
    const reason = new Error('interrupted')
    await expect(verifyRelease(request, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  it('is asked through the proxy that the environment names, without a tunnel', async () => {
    vi.stubEnv('http_proxy', new URL(request.url).origin)
    vi.stubEnv('no_proxy', '')
    vi.resetModules()
    vi.spyOn(process, 'emitWarning').mockReturnValue()
    try {
      const fresh = await import('../../../src/debian/release.ts')
      serve('http://mirror.invalid/debian/dists/trixie/InRelease', sign(releaseText()))
      await fresh.verifyRelease({ ...request, url: 'http://mirror.invalid/debian' })
      expect(asked).toEqual(['GET http://mirror.invalid/debian/dists/trixie/InRelease'])
    } finally {
      vi.unstubAllEnvs()
      vi.restoreAllMocks()
    }
  })

  describe('of udebs', () => {
    const names = [
      ...['apt-setup-udeb', 'base-installer', 'bootstrap-base', 'clock-setup', 'debootstrap-udeb'],
      ...['e2fsprogs-udeb', 'finish-install', 'grub-installer', 'libparted2-udeb', 'partman-auto'],
      ...['partman-base', 'partman-basicfilesystems', 'partman-ext3', 'partman-partitioning', 'pkgsel'],
      ...['user-setup-udeb', 'scsi-modules-6.12.10-amd64-di'],
      ...['ext4-modules-6.12.9-amd64-di', 'ext4-modules-6.12.10-amd64-di'],
    ]
    const stanza = (name: string) => `Package: ${name}\nFilename: pool/${name}.udeb\n`
    const index = gzipSync(names.map(stanza).join('\n'))

    async function probe(files: Record<string, Buffer>) {
      serveRelease(sign(releaseText({}, files)))
      return probeUdebs(request, await verifyRelease(request))
    }

    beforeEach(() => {
      serve(`/debian/dists/trixie/${udebIndex}`, index)
      for (const name of names) serve(`/debian/pool/${name}.udeb`, 'a udeb')
    })

    it('has them when each one asked for is there, and none is downloaded', async () => {
      expect(await probe({ [udebIndex]: index })).toMatchObject({ hasUdebs: true, missing: [] })
      expect(asked.filter((line) => line.endsWith('.udeb')).every((line) => line.startsWith('HEAD '))).toBe(
        true,
      )
    })

    it('has them not when the index lists one that answers 404', async () => {
      routes.delete('/debian/pool/partman-ext3.udeb')
      const result = await probe({ [udebIndex]: index })
      expect(result).toMatchObject({ hasUdebs: false, missing: ['partman-ext3'] })
      expect(result.reason).toContain('partman-ext3')
    })

    it('has them not when the index does not list one', async () => {
      const shorter = gzipSync(names.slice(1).map(stanza).join('\n'))
      serve(`/debian/dists/trixie/${udebIndex}`, shorter)
      expect(await probe({ [udebIndex]: shorter })).toMatchObject({ missing: ['apt-setup-udeb'] })
    })

    it('has them in a suite of their own, by a key of their own, without any other index', async () => {
      const text = ['Codename: my-udebs', 'Date: Sat, 12 Sep 2026 07:55:41 UTC', `Architectures: ${arch}`]
      const checksums = ['Components: main', 'SHA256:', ` ${sha256(index)} ${index.length} ${udebIndex}`, '']
      serve('/debian/dists/my-udebs/InRelease', sign([...text, ...checksums].join('\n')))
      serve(`/debian/dists/my-udebs/${udebIndex}`, index)
      const mirror = {
        debian: request.url,
        security: request.url,
        components: ['main'],
        keyring: join(folder, 'none.gpg'),
        udebs: { suite: 'my-udebs', keyring },
      }
      expect(await probeUdebsOf({ suite: 'trixie', debianArch: arch, mirror })).toMatchObject({
        hasUdebs: true,
      })
    })

    it("has them not without the modules of its newest kernel, which is the netboot images'", async () => {
      routes.delete('/debian/pool/ext4-modules-6.12.10-amd64-di.udeb')
      expect((await probe({ [udebIndex]: index })).missing).toEqual(['ext4-modules-6.12.10-amd64-di'])
      const without = gzipSync(names.slice(0, -2).map(stanza).join('\n'))
      serve(`/debian/dists/trixie/${udebIndex}`, without)
      expect((await probe({ [udebIndex]: without })).missing).toEqual(['ext4-modules'])
    })

    it('has them not without an index', async () => {
      expect(await probe({})).toMatchObject({ hasUdebs: false })
    })

    it('is refused when the index is not the one that was signed', async () => {
      const flipped = Buffer.from(index)
      flipped[flipped.length - 9] = (flipped[flipped.length - 9] ?? 0) ^ 1
      serve(`/debian/dists/trixie/${udebIndex}`, flipped)
      await expect(probe({ [udebIndex]: index })).rejects.toMatchObject({ code: 'mirror-file-corrupt' })
    })

    it('is only a fault to the doctor where images are installed from them', async () => {
      serve(`/debian/dists/trixie/${udebIndex}`, Buffer.from(index).fill(0, index.length - 9))
      serveRelease(sign(releaseText({}, { [udebIndex]: index })))
      const context = contextOf('doctor', { images: [] })
      const doctor = async (isWanted: boolean) => checkUdebs(request, isWanted, context)
      expect(await doctor(false)).toMatchObject({ status: 'warning' })
      await expect(doctor(true)).rejects.toMatchObject({ code: 'mirror-file-corrupt' })
    })
  })
})
