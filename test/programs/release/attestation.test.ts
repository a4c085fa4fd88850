/** Attestations of a Sigstore of our own: whose is believed, and of which files. */

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { compareAttestation } from '../../../src/release/attestation.ts'
import { authenticate } from '../../../src/release/authenticate.ts'
import { releaseFiles } from '../../../src/release/record.ts'
import { verifyRelease } from '../../../src/release/verify-release.ts'
import { useFolder } from '../../support/folder.ts'
import { startSigstore, type TestSigstore } from '../../support/sigstore.ts'

const path = useFolder()
const name = releaseFiles.attestation
const workflow = 'https://github.com/someone/image/.github/workflows/make-release.yml'
const ours = `${workflow}@refs/tags/v1.0`

let sigstore: TestSigstore
beforeAll(async () => {
  sigstore = await startSigstore()
})
afterAll(() => sigstore.stop())

const digestOf = (text: string) => createHash('sha256').update(text).digest('hex')
const checksums = (...files: string[]) => new Map(files.map((file) => [file, { sha256: digestOf(file) }]))
const statementOf = (...files: string[]) => ({
  _type: 'https://in-toto.io/Statement/v1',
  subject: files.map((file) => ({ name: file, digest: { sha256: digestOf(file) } })),
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {},
})

beforeEach(() => {
  mkdirSync(path('release'))
  writeFileSync(path('root'), `${sigstore.trustedRoot}\n`)
})
const put = (bundle: string) => writeFileSync(path('release', name), bundle)
const attest = async (by = ours, issuer?: string) => put(await sigstore.attest(statementOf('a'), by, issuer))
const verify = (tag?: string | null) =>
  authenticate(path('release'), { attestation: { trustedRoot: path('root'), workflow } }, tag)

describe('an attestation', () => {
  it('is believed of the workflow that was asked for', async () => {
    await attest()
    expect(await verify()).toEqual({ signedBy: [`${ours} (GitHub attestation)`], faults: [] })
  })

  it.each<[string | null, readonly string[]]>([
    ['v1.0', []],
    ['v1.1', ['it is for the tag v1.0; the release says v1.1']],
    [null, ['it is for the tag v1.0; the release says none']],
  ])('is compared with the tag of the release, %s', async (tag, faults) => {
    await attest()
    const found = await verify(tag)
    expect(found.faults.map(({ fault }) => fault)).toEqual(faults)
    expect(found.signedBy).toHaveLength(1 - faults.length)
  })

  it('of another tag is a fault of the release', async () => {
    await attest()
    const record = { version: 1, name: 'image', release: '1.1', tag: 'v1.1' }
    const empty = { exceptions: [], source: null, variants: [] }
    writeFileSync(path('release', releaseFiles.record), JSON.stringify({ ...record, ...empty }))
    const { faults } = await verifyRelease({
      folder: path('release'),
      trust: { attestation: { trustedRoot: path('root'), workflow } },
      onStep: () => undefined,
      signal: new AbortController().signal,
    })
    expect(faults).toContainEqual({ file: name, fault: 'it is for the tag v1.0; the release says v1.1' })
  })

  it.each<[string, () => Promise<void>, RegExp]>([
    ['of another workflow', () => attest(ours.replace('make-release', 'other')), /it is from \S+other\.yml@/],
    [
      'of another repository',
      () => attest(ours.replace('someone', 'someone-else')),
      /it is from \S+someone-else/,
    ],
    ['of a name that only begins the same', () => attest(ours.replace('.yml', '.yml.evil')), /it is from/],
    ['of a branch', () => attest(`${workflow}@refs/heads/main`), /it is from \S+heads\/main/],
    [
      'of another issuer',
      () => attest(ours, 'https://issuer.example.org'),
      /it is from https:\/\/issuer\.example\.org/,
    ],
    [
      'by the certificates of another root',
      async () => {
        await attest()
        const other = await startSigstore()
        writeFileSync(path('root'), other.trustedRoot)
        await other.stop()
      },
      /it is not valid/,
    ],
    [
      'with another statement in it',
      async () => {
        await attest()
        const bundle = JSON.parse(readFileSync(path('release', name), 'utf8')) as {
          dsseEnvelope: { payload: string }
        }
        bundle.dsseEnvelope.payload = Buffer.from(JSON.stringify(statementOf('b'))).toString('base64')
        put(JSON.stringify(bundle))
      },
      /it is not valid/,
    ],
    [
      'that nobody says the time of',
      async () => {
        await attest()
        const bundle = JSON.parse(readFileSync(path('release', name), 'utf8')) as {
          verificationMaterial: { timestampVerificationData?: unknown }
        }
        bundle.verificationMaterial.timestampVerificationData = { rfc3161Timestamps: [] }
        put(JSON.stringify(bundle))
      },
      /it is not valid/,
    ],
    ['that is none', async () => put('{}'), /it is not valid/],
    ['that was taken away', async () => rmSync(path('release', name), { force: true }), /it is missing/],
  ])('%s is refused', async (_case, make, fault) => {
    await make()
    expect(await verify()).toEqual({
      signedBy: [],
      faults: [{ file: name, fault: expect.stringMatching(fault) }],
    })
  })

  const compare = async (files: ReadonlyMap<string, { readonly sha256: string }>) => {
    const faults: string[] = []
    const all = new Map([...files, [name, { sha256: '' }]])
    await compareAttestation(path('release'), all, (file, fault) => faults.push(`${file}: ${fault}`))
    return faults
  }

  it.each<[string, readonly string[], Map<string, { readonly sha256: string }>, readonly string[]]>([
    ['of these files', ['a', 'b'], checksums('a', 'b'), []],
    ['made before a maintainer signed', ['a'], checksums('a', 'sha512sum.txt.sig', 'sha512sum.txt.asc'), []],
    ['of fewer files', ['a'], checksums('a', 'b'), [`${name}: it is not for this b`]],
    ['of more files', ['a', 'b'], checksums('a'), [`${name}: it is also for b, which is missing`]],
    [
      'of other content',
      ['a'],
      new Map([['a', { sha256: digestOf('b') }]]),
      [`${name}: it is not for this a`],
    ],
  ])('%s is compared with the files', async (_case, attested, files, faults) => {
    put(await sigstore.attest(statementOf(...attested), ours))
    expect(await compare(files)).toEqual(faults)
  })

  it('that cannot be read is named', async () => {
    put('attested')
    expect(await compare(checksums('a'))).toEqual([`${name}: it cannot be read`])
  })
})
