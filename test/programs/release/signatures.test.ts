/** Signatures by real ssh-keygen and gpg, and everything that makes one worthless. */

import { execFileSync } from 'node:child_process'
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { algorithms, type Checksums, computeChecksums } from '../../../src/export/checksums.ts'
import { authenticate, type Trust } from '../../../src/release/authenticate.ts'
import { renderList } from '../../../src/release/checksum-lists.ts'
import { parseReleaseRecord, type ReleaseRecord, releaseFiles } from '../../../src/release/record.ts'
import { sign } from '../../../src/release/sign.ts'
import { renderStatement } from '../../../src/release/statement.ts'
import { verifyRelease } from '../../../src/release/verify-release.ts'
import { useFolder } from '../../support/folder.ts'
import { runGpg } from '../../support/gpg.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signed, signatures } = releaseFiles
const { ssh, openpgp } = signatures

describeWith(['ssh-keygen', 'gpg', 'gpgv'], 'a signature', () => {
  /** Keys, and the signed lists of two releases. */
  let shared: string
  const at = (...names: string[]) => join(shared, ...names)

  beforeAll(async () => {
    shared = mkdtempSync(join(tmpdir(), 'test-'))
    mkdirSync(at('gnupg'), { mode: 0o700 })
    for (const name of ['maker', 'other']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', at(name)])
      runGpg(at('gnupg'), ['--quick-gen-key', `${name} <${name}@example.org>`, 'ed25519'])
    }
    vi.stubEnv('GNUPGHOME', at('gnupg'))
    for (const name of ['one', 'two']) {
      mkdirSync(at(name))
      writeFileSync(at(name, signed), `checksums of ${name}\n`)
      await sign(at(name, signed), { ssh: at('maker'), openpgp: 'maker@example.org' })
    }
    vi.unstubAllEnvs()
  })
  afterAll(() => {
    execFileSync('gpgconf', ['--homedir', at('gnupg'), '--kill', 'all'])
    rmSync(shared, { recursive: true, force: true })
  })
  beforeEach(() => cpSync(at('one'), path('release'), { recursive: true }))

  const publicKey = (name: string) => readFileSync(at(`${name}.pub`), 'utf8').trim()
  const exportKey = (name: string) => runGpg(at('gnupg'), ['--armor', '--export', `${name}@example.org`])

  function signers(name = 'maker', options = ''): Trust {
    writeFileSync(path('signers'), `${name}@example.org ${options} ${publicKey(name)}\n`)
    return { signers: path('signers') }
  }

  function keyring(...names: string[]): Trust {
    const blocks = names.map((name) => `${name}, release manager\n\n${exportKey(name)}`)
    writeFileSync(path('keyring'), blocks.join('\n'))
    return { keyring: path('keyring') }
  }

  const bySsh = /^maker@example\.org \(SSH key SHA256:\S+\)$/
  const byOpenPgp = /^maker <maker@example\.org> \(OpenPGP key [0-9A-F]{40}\)$/
  it.each<[string, () => Trust, readonly RegExp[]]>([
    ['an SSH key', () => signers(), [bySsh]],
    [
      'an SSH key that may sign only releases',
      () => signers('maker', 'namespaces="systemvm-image-release"'),
      [bySsh],
    ],
    [
      'an SSH key among others, with several names',
      () => {
        writeFileSync(
          path('signers'),
          `a@b ${publicKey('other')}\nmaker@example.org,c@d ${publicKey('maker')}\n`,
        )
        return { signers: path('signers') }
      },
      [bySsh],
    ],
    ['an OpenPGP key', () => keyring('maker'), [byOpenPgp]],
    ['an OpenPGP key among others, with text between them', () => keyring('other', 'maker'), [byOpenPgp]],
    [
      'an OpenPGP key in a binary keyring',
      () => {
        runGpg(at('gnupg'), ['--output', path('keyring'), '--export', 'maker@example.org'])
        return { keyring: path('keyring') }
      },
      [byOpenPgp],
    ],
    ['both', () => ({ ...signers(), ...keyring('maker') }), [bySsh, byOpenPgp]],
  ])('is good by %s', async (_case, trust, who) => {
    const { signedBy, faults } = await authenticate(path('release'), trust())
    expect(faults).toEqual([])
    expect(signedBy).toEqual(who.map((pattern) => expect.stringMatching(pattern)))
  })

  it('proves nothing to a reader who trusts no key', async () => {
    expect(await authenticate(path('release'), {})).toEqual({ signedBy: [], faults: [] })
  })

  const take = (name: string) => rmSync(path('release', name))
  const bring = (name: string) => cpSync(at('two', name), path('release', name))
  const forge = (name: string) => writeFileSync(path('release', name), 'signed')
  const nothing = () => undefined
  it.each<[string, string, () => void, () => Trust, RegExp]>([
    ['of another SSH key', ssh, nothing, () => signers('other'), /no key in \S+signers made it/],
    ['of another OpenPGP key', openpgp, nothing, () => keyring('other'), /no key in \S+keyring made it/],
    [
      'of an SSH key that has expired',
      ssh,
      nothing,
      () => signers('maker', 'valid-before="20200101"'),
      /key has expired/,
    ],
    [
      'of an SSH key of the future',
      ssh,
      nothing,
      () => signers('maker', 'valid-after="20990101"'),
      /not yet valid/,
    ],
    [
      'of a revoked SSH key',
      ssh,
      nothing,
      () => ({ ...signers(), revoked: at('maker.pub') }),
      /its key is revoked/,
    ],
    [
      'of an SSH key for other things',
      ssh,
      nothing,
      () => signers('maker', 'namespaces="git"'),
      /not permitted/,
    ],
    [
      'of something else by the same SSH key',
      ssh,
      () => {
        take(ssh)
        const words = ['-q', '-Y', 'sign', '-n', 'git', '-f', at('maker'), path('release', signed)]
        execFileSync('ssh-keygen', words, { stdio: 'ignore' })
      },
      () => signers(),
      /namespace does not match/,
    ],
    ['that was taken away, by SSH', ssh, () => take(ssh), () => signers(), /it is missing/],
    [
      'that was taken away, by OpenPGP',
      openpgp,
      () => take(openpgp),
      () => keyring('maker'),
      /it is missing/,
    ],
    ['of another release, by SSH', ssh, () => bring(ssh), () => signers(), /it is not valid/],
    [
      'of another release, by OpenPGP',
      openpgp,
      () => bring(openpgp),
      () => keyring('maker'),
      /not a signature of these/,
    ],
    ['that is none, by SSH', ssh, () => forge(ssh), () => signers(), /no key in/],
    ['that is none, by OpenPGP', openpgp, () => forge(openpgp), () => keyring('maker'), /not a detached/],
    [
      'that unpacks to more than it has',
      openpgp,
      // A packet of compressed data, without a length.
      () =>
        writeFileSync(
          path('release', openpgp),
          Buffer.concat([Buffer.from([0xa3, 1]), deflateRawSync(Buffer.alloc(2 ** 25))]),
        ),
      () => keyring('maker'),
      /not a detached/,
    ],
    [
      'that is longer than any',
      openpgp,
      () => appendFileSync(path('release', openpgp), 'x'.repeat(2 ** 16)),
      () => keyring('maker'),
      /not a detached/,
    ],
    [
      'of a list that was changed',
      ssh,
      () => appendFileSync(path('release', signed), 'x'),
      () => signers(),
      /not valid/,
    ],
    [
      'of a list that is gone',
      openpgp,
      () => take(signed),
      () => keyring('maker'),
      /not a signature of these/,
    ],
  ])('%s is refused', async (_case, file, change, trust, fault) => {
    change()
    expect(await authenticate(path('release'), trust())).toEqual({
      signedBy: [],
      faults: [{ file, fault: expect.stringMatching(fault) }],
    })
  })

  it('of an OpenPGP key that is revoked is refused', async () => {
    const home = path('gnupg')
    cpSync(at('gnupg'), home, { recursive: true, filter: (from) => !/\/S\.|\.lock$/.test(from) })
    const listed = runGpg(home, ['--list-keys', '--with-colons', 'maker@example.org'])
    const key = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? ''
    // gpg writes a colon before the first line, so that the file is not imported by mistake.
    const revocation = readFileSync(join(home, 'openpgp-revocs.d', `${key}.rev`), 'utf8')
    runGpg(home, ['--import'], revocation.replace(':-----BEGIN', '-----BEGIN'))
    writeFileSync(path('keyring'), runGpg(home, ['--armor', '--export', 'maker@example.org']))
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'])
    expect(await authenticate(path('release'), { keyring: path('keyring') })).toEqual({
      signedBy: [],
      faults: [{ file: openpgp, fault: 'its key is revoked' }],
    })
  })

  it('of an OpenPGP key that has expired is refused', async () => {
    const inYear2024 = (...words: string[]) =>
      runGpg(at('gnupg'), ['--faked-system-time', '20240101T000000!', ...words])
    inYear2024('--quick-gen-key', 'old <old@example.org>', 'ed25519', 'sign', '1d')
    take(openpgp)
    const file = path('release', signed)
    inYear2024('--armor', '--local-user', 'old@example.org', '--output', `${file}.asc`, '--detach-sign', file)
    expect(await authenticate(path('release'), keyring('old'))).toEqual({
      signedBy: [],
      faults: [{ file: openpgp, fault: 'its key has expired' }],
    })
  })

  it('cannot be made with a key that is not there', async () => {
    writeFileSync(path('file'), '')
    await expect(sign(path('file'), { ssh: path('nowhere') })).rejects.toMatchObject({
      code: 'signing-failed',
      exitCode: 2,
    })
    vi.stubEnv('GNUPGHOME', at('gnupg'))
    await expect(sign(path('file'), { openpgp: 'nobody' })).rejects.toMatchObject({ code: 'signing-failed' })
    vi.unstubAllEnvs()
  })

  it('is not called a forgery when it is the file of keys that is missing', async () => {
    const trust = { signers: path('nowhere') }
    await expect(authenticate(path('release'), trust)).rejects.toMatchObject({
      code: 'trust-unreadable',
      exitCode: 2,
    })
  })

  it('counts only for the files that were read, even if others take their place meanwhile', async () => {
    const write = async (folder: string, tag: string) => {
      mkdirSync(path(folder))
      const empty = { version: 1, name: 'image', release: '1.0', exceptions: [], source: null, variants: [] }
      writeFileSync(path(folder, releaseFiles.record), JSON.stringify({ ...empty, tag }))
      writeFileSync(path(folder, releaseFiles.metadata), '')
      const digest = async (name: string) =>
        computeChecksums(path(folder, name), new AbortController().signal)
      const checksums = new Map<string, Checksums>()
      for (const name of [releaseFiles.record, releaseFiles.metadata]) checksums.set(name, await digest(name))
      const subjects = [...checksums].map(([name, each]) => ({ name, ...each }))
      const record = parseReleaseRecord({ ...empty, tag }) as ReleaseRecord
      const facts = { record, subjects, inputs: new Map(), claimed: undefined, program: '1' }
      writeFileSync(path(folder, releaseFiles.statement), renderStatement(facts))
      checksums.set(releaseFiles.statement, await digest(releaseFiles.statement))
      for (const algorithm of algorithms)
        writeFileSync(path(folder, releaseFiles.checksums[algorithm]), renderList(checksums, algorithm))
    }
    const verify = (onStep: () => void = () => undefined) =>
      verifyRelease({
        folder: path('mine'),
        trust: signers(),
        onStep,
        signal: new AbortController().signal,
      })
    const put = (from: string) => cpSync(path(from), path('mine'), { recursive: true })
    await write('good', 'v1')
    await sign(path('good', signed), { ssh: at('maker') })
    await write('bad', 'v2')
    put('good')
    expect(await verify()).toMatchObject({ faults: [], signedBy: [expect.stringMatching(bySsh)] })
    // After the signature was verified, and before the files are read.
    const all = await verify(() => put('bad'))
    expect(all.signedBy).toEqual([])
    expect(all.faults).toContainEqual({ file: signed, fault: 'it was changed while it was read' })
    put('good')
    cpSync(path('bad', releaseFiles.record), path('mine', releaseFiles.record))
    const one = await verify(() => put('good'))
    expect(one.signedBy).toEqual([])
    expect(one.faults).toEqual([{ file: releaseFiles.record, fault: 'it was changed while it was read' }])
  })
})
