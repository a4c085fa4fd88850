/** `release` on small disks that are made here: what is in a release, what is refused, and what `release verify` finds. */

import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { computeChecksums } from '../../../src/export/checksums.ts'
import { signWithSsh } from '../../../src/host/ssh-signature.ts'
import { renderList } from '../../../src/release/checksum-lists.ts'
import { compareRebuild, rebuildNamespace, renderRebuild } from '../../../src/release/rebuild.ts'
import type { ReleaseImage, ReleaseRecord } from '../../../src/release/record.ts'
import { faultOfSbom } from '../../../src/release/sbom.ts'
import { type Statement, statementSchema } from '../../../src/release/statement.ts'
import { mostReportBytes, type Report } from '../../../src/report/report.ts'
import { builtWords, makeBuilt } from '../../support/built.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const programs = ['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img']
const never = new AbortController().signal

const text = useOutput()

const release = (...words: string[]) => main(['release', ...builtWords, '--out', path('out'), ...words])
const verify = (folder = path('out', 'release'), ...words: string[]) =>
  main(['release', 'verify', folder, ...words])
const read = (...names: string[]) => readFileSync(path('out', 'release', ...names), 'utf8')

/** Files of a release of the tiny pipeline. */
const checksumLists = ['md5sum.txt', 'sha256sum.txt', 'sha512sum.txt']
const files = [
  'RELEASE_NOTES.md',
  'metadata.ini',
  'provenance.intoto.json',
  'release.json',
  'report.html',
  'tiny-1.0-x86_64-kvm.qcow2',
  'tiny-1.0-x86_64-ovm.raw',
  'tiny-1.0-x86_64.cdx.json',
  'tiny-1.0-x86_64.spdx.json',
  ...checksumLists,
]

describeWith(programs, 'a release', () => {
  it('has the files, with checksums, a bill of materials, a statement about all of them, and notes', async () => {
    await makeBuilt(path('out'))
    expect(await release('--tag', 'v1.0'), text.stderr).toBe(0)
    expect(text.stdout.trim()).toBe(path('out', 'release'))
    expect(readdirSync(path('out', 'release')).sort()).toEqual([...files].sort())
    const statement = statementSchema.parse(JSON.parse(read('provenance.intoto.json'))) as Statement
    const covered = files.filter((name) => !checksumLists.includes(name) && name !== 'provenance.intoto.json')
    expect(statement.subject.map(({ name }) => name).sort()).toEqual(covered.sort())
    const { resolvedDependencies } = statement.predicate.buildDefinition
    const named = resolvedDependencies.map(({ name }) => name)
    for (const name of [
      'source',
      'archive trixie',
      'package libc6',
      'script greet',
      'script of base',
      'template build.pkr.hcl.hbs',
      'tool packer',
    ])
      expect(named).toContain(name)
    expect(resolvedDependencies.find(({ name }) => name === 'archive trixie')).toMatchObject({
      uri: 'http://deb.debian.org/debian/dists/trixie/InRelease',
      annotations: { signers: ['A'.repeat(40)] },
    })
    const sbom = read('tiny-1.0-x86_64.cdx.json')
    expect(await faultOfSbom(sbom)).toBeUndefined()
    const { components } = JSON.parse(sbom) as { components: { name: string }[] }
    expect(components.find(({ name }) => name === 'libc6')).toMatchObject({
      version: '2.41-12',
      purl: 'pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie',
      hashes: [{ alg: 'SHA-256', content: 'c'.repeat(64) }],
      licenses: [
        { license: { name: 'custom-one', acknowledgement: 'declared' } },
        { license: { id: 'MIT', acknowledgement: 'declared' } },
      ],
    })
    expect(read('metadata.ini')).toContain('[kvm]')
    const notes = read('RELEASE_NOTES.md')
    expect(notes).toContain(
      '# tiny 1.0\n\nBuilt from commit `0123456789abcdef0123456789abcdef01234567`, tag `v1.0`.',
    )
    expect(notes).toContain(
      '- 3 packages, listed in `tiny-1.0-x86_64.cdx.json` and `tiny-1.0-x86_64.spdx.json`',
    )
    expect(notes).toContain('- kernel: linux-image-6.12.1-amd64 6.12.1-1')
    expect(notes).not.toContain('in spite of')
    expect(await verify(), text.stdout).toBe(0)
    expect(text.stderr).toContain(
      '12 files of tiny 1.0, tag v1.0: internally consistent, but not authenticated',
    )
  })

  it('is not made if its record could not be read again, and the one before stays', async () => {
    await makeBuilt(path('out'))
    expect(await release('--tag', 'v1.0'), text.stderr).toBe(0)
    rmSync(path('out', 'images'), { recursive: true })
    await makeBuilt(path('out'), { packages: { dpkg: '1.22.21', odd: `1.${'0'.repeat(300)}` } })
    expect(await release()).toBe(4)
    expect(text.stderr).toContain('release.json: variants.0.packages.odd: Too big')
    expect(readdirSync(path('out')).filter((name) => name.startsWith('release'))).toEqual(['release'])
    expect(await verify(), text.stdout).toBe(0)
  })

  it('is the same when it is made again', async () => {
    await makeBuilt(path('out'))
    await release()
    const before = Object.fromEntries(files.map((name) => [name, readFileSync(path('out', 'release', name))]))
    await release()
    for (const name of files)
      expect(readFileSync(path('out', 'release', name)).equals(before[name] as Buffer), name).toBe(true)
  })

  it('tells what has changed since another', async () => {
    await makeBuilt(path('before'), {
      packages: { dpkg: '1.22.20', libc6: '2.41-12', nano: '8.4-1', 'linux-image-6.12.0-amd64': '6.12.0-1' },
    })
    expect(await main(['release', ...builtWords, '--out', path('before')]), text.stderr).toBe(0)
    await makeBuilt(path('out'))
    expect(await release('--since', path('before', 'release'))).toBe(0)
    const notes = read('RELEASE_NOTES.md')
    expect(notes).toContain('## Since 1.0\n\n### trixie-x86_64')
    expect(notes).toContain('- kernel: linux-image-6.12.0-amd64 6.12.0-1 → linux-image-6.12.1-amd64 6.12.1-1')
    expect(notes).toContain('| dpkg | 1.22.20 | 1.22.21 |')
    expect(notes).toContain('| nano | 8.4-1 | removed |')
    expect(notes).not.toContain('| libc6 |')
    expect(await release('--since', path('before', 'release', 'release.json'))).toBe(0)
    expect(await release('--since', path('nowhere'))).toBe(2)
  })

  const report = (over: Partial<Report>) => ({ over })
  it.each<[string, string, Parameters<typeof makeBuilt>[1], string[], string]>([
    [
      'was not verified',
      'unverified',
      { verified: false },
      [],
      'tiny-1.0-x86_64-kvm.qcow2 was not verified as it is now',
    ],
    [
      'was never booted',
      'unverified',
      {},
      ['--set', 'verification.contract=cloudstack'],
      'none of its files was booted',
    ],
    [
      'is of a dirty checkout',
      'dirty',
      report({ source: { commit: 'c', changed: ['pipeline.ts'] } }),
      [],
      'changes that are not committed: pipeline.ts',
    ],
    [
      'is of no known commit',
      'dirty',
      report({ source: undefined }),
      [],
      'the commit it was built from is unknown',
    ],
    ['is not recorded', 'unrecorded', { recorded: false }, [], 'what it was made from is not recorded'],
    ['is of another pipeline', 'mixed', {}, ['--set', 'hostname=other'], 'the keys of its layers differ'],
    [
      'is of another release',
      'mixed',
      {},
      ['--set', "release='1.1'"],
      'built as release 1.0, but the pipeline makes 1.1',
    ],
    [
      'lacks a target',
      'partial',
      {},
      ['--set', 'targets=[kvm, raw, xenserver]'],
      'there is no file for xenserver',
    ],
  ])(
    'is refused of an image that %s, unless that is allowed; then it says so',
    async (_case, kind, built, words, said) => {
      await makeBuilt(path('out'), built)
      expect(await release(...words)).toBe(4)
      expect(text.stderr).toContain(said)
      expect(text.stderr).toContain(`--allow ${kind}`)
      expect(existsSync(path('out', 'release'))).toBe(false)
      expect(await release(...words, '--allow', kind), text.stderr).toBe(0)
      expect(read('RELEASE_NOTES.md')).toContain(`> - ${kind}: trixie-x86_64: `)
      const { exceptions } = JSON.parse(read('release.json')) as ReleaseRecord
      expect(exceptions[0]?.kind).toBe(kind)
      expect(read('provenance.intoto.json')).toContain(said.slice(0, 20))
      expect(await verify(), text.stdout).toBe(0)
    },
  )

  it('is refused of an image that was changed after it was verified', async () => {
    await makeBuilt(path('out'))
    const file = path('out', 'images', 'tiny-1.0-x86_64-ovm.raw')
    writeFileSync(file, flip(readFileSync(file), 13 * 2 ** 20))
    expect(await release()).toBe(4)
    expect(text.stderr).toContain(
      'mixed: trixie-x86_64: images/tiny-1.0-x86_64-ovm.raw is not the file that the run made',
    )
    expect(text.stderr).toContain(
      'unverified: trixie-x86_64: images/tiny-1.0-x86_64-ovm.raw was not verified as it is now',
    )
  })

  it('takes what other machines have built, the newest of each variant', async () => {
    const run = {
      status: 'succeeded' as const,
      startedAt: '2026-01-02T00:00:00.000Z',
      finishedAt: '2026-01-02T00:01:00.000Z',
      durationSeconds: 60,
      command: [],
    }
    const older = { ...run, id: '20260102T000000Z-trixie-x86_64-1' }
    const newer = { ...run, id: '20260103T000000Z-trixie-x86_64-1', startedAt: '2026-01-03T00:00:00.000Z' }
    await makeBuilt(path('one'), { over: { run: newer } })
    await makeBuilt(path('two'), { over: { run: older }, packages: { dpkg: '1.0' } })
    expect(await release('--from', path('one'), '--from', path('two')), text.stderr).toBe(0)
    const { variants } = JSON.parse(read('release.json')) as ReleaseRecord
    expect(variants.map(({ run }) => run.id)).toEqual([newer.id])
    expect(Object.keys(variants[0]?.packages ?? {})).toHaveLength(3)
  })

  it('counts no verdict in a copy of a folder, unless the user vouches for it', async () => {
    await makeBuilt(path('built'))
    cpSync(path('built'), path('out'), { recursive: true })
    expect(await release()).toBe(4)
    expect(text.stderr).toContain(
      'unverified: trixie-x86_64: images/tiny-1.0-x86_64-kvm.qcow2 was verified in another folder, of which this is a copy',
    )
    expect(await release('--from', path('out')), text.stderr).toBe(0)
  })

  it('takes no report that is longer than any of a run', async () => {
    await makeBuilt(path('out'))
    for (const run of readdirSync(path('out', 'runs')))
      appendFileSync(path('out', 'runs', run, 'report.json'), ' '.repeat(mostReportBytes))
    expect(await release()).toBe(4)
    expect(text.stderr).toContain('no build left images of it')
  })

  it('leaves out a target when it is told to, and says so', async () => {
    await makeBuilt(path('out'))
    expect(await release('--leave-out', 'raw'), text.stderr).toBe(0)
    expect(existsSync(path('out', 'release', 'tiny-1.0-x86_64-ovm.raw'))).toBe(false)
    expect(read('RELEASE_NOTES.md')).toContain('> - partial: trixie-x86_64: left out, as asked: raw')
    expect(await verify()).toBe(0)
  })

  it.each([
    ['a tag of another release', ['--tag', 'v2.0'], 'the tag "v2.0" is not for release 1.0'],
    ['a folder that is something else', ['--to', 'SOMETHING'], 'exists and is not a release'],
    ['a word for nothing', ['--allow', 'everything'], 'is not one of unverified, dirty'],
  ])('refuses %s with 2', async (_case, words, said) => {
    await makeBuilt(path('out'))
    mkdirSync(path('else'))
    writeFileSync(path('else', 'file'), '')
    expect(await release(...words.map((word) => word.replace('SOMETHING', path('else'))))).toBe(2)
    expect(text.stderr).toContain(said)
    expect(readdirSync(path('else'))).toEqual(['file'])
  })

  it('has no secret of the environment in it, nor says one', async () => {
    await makeBuilt(path('out'))
    const names = [
      'GITHUB_TOKEN',
      'GH_TOKEN',
      'ACTIONS_ID_TOKEN_REQUEST_TOKEN',
      'REGISTRY_PASSWORD',
      'AWS_SECRET_ACCESS_KEY',
    ]
    for (const [index, name] of names.entries()) vi.stubEnv(name, `planted-secret-${index}`)
    for (const [name, value] of Object.entries({
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'someone/image',
      GITHUB_WORKFLOW_REF: 'someone/image/.github/workflows/release.yml@refs/tags/v1.0',
      GITHUB_RUN_ID: '42',
    }))
      vi.stubEnv(name, value)
    try {
      expect(await release('--json')).toBe(0)
      expect(await verify()).toBe(0)
    } finally {
      vi.unstubAllEnvs()
    }
    const { predicate } = JSON.parse(read('provenance.intoto.json')) as Statement
    expect(predicate.buildDefinition.internalParameters.claimed).toEqual({
      workflow: 'https://github.com/someone/image/.github/workflows/release.yml@refs/tags/v1.0',
      run: 'https://github.com/someone/image/actions/runs/42/attempts/1',
    })
    // Anyone can set those variables.
    expect(JSON.stringify(predicate.runDetails)).not.toContain('github')
    for (const name of files)
      expect(readFileSync(path('out', 'release', name)).includes('planted-secret'), name).toBe(false)
    expect(text.stdout + text.stderr).not.toContain('planted-secret')
  })
})

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] as number) ^ 1
  return copy
}

describeWith(programs, 'release verify', () => {
  let sound: string
  beforeAll(async () => {
    sound = mkdtempSync(join(tmpdir(), 'test-'))
    await makeBuilt(sound)
    await main(['release', ...builtWords, '--out', sound])
  })
  afterAll(() => rmSync(sound, { recursive: true, force: true }))
  const copy = () => cpSync(join(sound, 'release'), path('release'), { recursive: true })

  it.each(files.flatMap((name) => [0.01, 0.98].map((share) => [name, share] as const)))(
    'names %s when its byte at %d has changed, and no other',
    async (name, share) => {
      copy()
      const bytes = readFileSync(path('release', name))
      writeFileSync(path('release', name), flip(bytes, Math.floor(bytes.length * share)))
      expect(await verify(path('release'))).toBe(4)
      expect(text.stdout).toContain(`${name}: `)
      const others = text.stdout.split('\n').filter((line) => line !== '' && !line.startsWith(`${name}: `))
      expect(others).toEqual([])
    },
  )

  it.each(files)('names %s when it is missing', async (name) => {
    copy()
    rmSync(path('release', name))
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain(`${name}: it `)
  })

  it.each(files)('names %s when it is made so long that nobody could read it to its end', async (name) => {
    copy()
    truncateSync(path('release', name), 2 ** 43)
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain(`${name}: it has 8796093022208 bytes, but `)
    expect(await main(['publish', path('release'), '--to', path('mirror')])).toBe(
      name === 'release.json' ? 2 : 4,
    )
    expect(await release('--to', path('release'))).toBe(2)
  })

  it('names a file that is no part of it', async () => {
    copy()
    writeFileSync(path('release', 'more.txt'), 'more')
    mkdirSync(path('release', 'folder'))
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain('more.txt: it is not part of this release')
    expect(text.stdout).toContain('folder: it is not a file')
  })

  it('finds a bill of materials that is not of the image, whatever checksums it has been given', async () => {
    copy()
    const name = 'tiny-1.0-x86_64.cdx.json'
    const forged = readFileSync(path('release', name), 'utf8').replaceAll('2.41-12', '2.41-13')
    writeFileSync(path('release', name), forged)
    await sealAgain(name)
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain(`${name}: it does not list what dpkg has in tiny-1.0-x86_64-kvm.qcow2`)
  })

  /** Gives a forged image the checksums that make everything but its content right. */
  async function registerAgain(name: string): Promise<void> {
    const now = await computeChecksums(path('release', name), never)
    const record = JSON.parse(readFileSync(path('release', 'release.json'), 'utf8')) as ReleaseRecord
    const before = record.variants.flatMap(({ files }) => files).find(({ file }) => file === name)
    for (const file of ['release.json', 'metadata.ini', 'tiny-1.0-x86_64.cdx.json']) {
      const text = readFileSync(path('release', file), 'utf8')
      const changed = (['md5', 'sha256', 'sha512'] as const).reduce(
        (all, algorithm) => all.replaceAll(before?.[algorithm] ?? '', now[algorithm]),
        text,
      )
      writeFileSync(path('release', file), changed)
    }
    for (const file of [name, 'release.json', 'metadata.ini', 'tiny-1.0-x86_64.cdx.json'])
      await sealAgain(file)
  }

  /** Gives a forged file the checksums that make everything but its content right. */
  async function sealAgain(name: string): Promise<void> {
    const statementPath = path('release', 'provenance.intoto.json')
    const statement = JSON.parse(readFileSync(statementPath, 'utf8')) as Statement
    const now = await computeChecksums(path('release', name), never)
    const sealed = { name, digest: { sha256: now.sha256, sha512: now.sha512 } }
    const others = statement.subject.filter((one) => one.name !== name)
    const subject = name === 'provenance.intoto.json' ? others : [...others, sealed]
    writeFileSync(statementPath, `${JSON.stringify({ ...statement, subject }, null, 1)}\n`)
    const all = new Map<string, typeof now>()
    for (const file of [...new Set([...files, name])].filter((file) => !checksumLists.includes(file)).sort())
      all.set(file, await computeChecksums(path('release', file), never))
    for (const algorithm of ['md5', 'sha256', 'sha512'] as const)
      writeFileSync(path('release', `${algorithm}sum.txt`), renderList(all, algorithm))
  }

  it.each([
    ['md5', (record: string, { md5 }: ReleaseImage) => record.replaceAll(md5, 'e'.repeat(32)), 'its md5 of '],
    [
      'sha512',
      (record: string, { sha512 }: ReleaseImage) => record.replaceAll(sha512, 'f'.repeat(128)),
      'its sha512 of ',
    ],
    [
      'format',
      (record: string) => record.replace('"format": "qcow2"', '"format": "vhd"'),
      'it says that the format of tiny-1.0-x86_64-kvm.qcow2 is vhd, but it is qcow2',
    ],
    [
      'larger disk',
      (record: string) => record.replace(/"virtualSizeBytes": \d+/, '"virtualSizeBytes": 14680065'),
      ' has 14680065 bytes, but it has 14680064',
    ],
    [
      'much smaller disk',
      (record: string) => record.replace(/"virtualSizeBytes": \d+/, '"virtualSizeBytes": 512'),
      ' has 512 bytes, but it has 14680064',
    ],
    [
      'architecture',
      (record: string) => record.replace('"arch": "x86_64"', '"arch": "aarch64"'),
      'it says aarch64, and tiny-1.0-x86_64-kvm.qcow2 has dpkg of amd64',
    ],
  ])('finds another %s in the record, whatever checksums it has been given', async (_what, change, said) => {
    copy()
    const record = JSON.parse(readFileSync(path('release', 'release.json'), 'utf8')) as ReleaseRecord
    const images = record.variants.flatMap(({ files }) => files)
    for (const file of ['release.json', 'metadata.ini']) {
      const changed = images.reduce(change, readFileSync(path('release', file), 'utf8'))
      writeFileSync(path('release', file), changed)
      await sealAgain(file)
    }
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain(
      `release.json: ${said.startsWith('i') ? said : 'it says that the disk in '}`,
    )
    expect(text.stdout).toContain(said)
    expect(text.stdout.trim().split('\n')).toHaveLength(1)
  })

  it('finds a file that the record does not name, whatever checksums it has been given', async () => {
    copy()
    const name = 'tiny-1.0-x86_64-kvm-hotfix.qcow2'
    writeFileSync(path('release', name), 'more')
    await sealAgain(name)
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toBe(`${name}: it is not part of this release\n`)
    expect(await main(['publish', path('release'), '--to', path('mirror')])).toBe(4)
  })

  it('finds another disk in one of the files, whatever checksums it has been given', async () => {
    copy()
    const name = 'tiny-1.0-x86_64-ovm.raw'
    writeFileSync(path('release', name), flip(readFileSync(path('release', name)), 9 * 2 ** 20))
    await registerAgain(name)
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toMatch(
      new RegExp(`^tiny-1.0-x86_64-kvm.qcow2: its disk is not the one in ${name}: `),
    )
    expect(text.stdout.trim().split('\n')).toHaveLength(1)
  })

  it.each<[string, string, (text: string) => string, string]>([
    [
      'a bill with a package that the image was not made from',
      'provenance.intoto.json',
      (statement) => statement.replaceAll('pkg:deb/debian/libc6@2.41-12', 'pkg:deb/debian/libc6@2.41-11'),
      'tiny-1.0-x86_64.cdx.json: pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=trixie is not in provenance.intoto.json',
    ],
    [
      'a bill with another digest of a package',
      'tiny-1.0-x86_64.cdx.json',
      (bill) => bill.replace('c'.repeat(64), 'd'.repeat(64)),
      'tiny-1.0-x86_64.cdx.json: the digest of pkg:deb/debian/',
    ],
    [
      'an SPDX document with another version of a package',
      'tiny-1.0-x86_64.spdx.json',
      (document) => document.replace('"versionInfo": "2.41-12"', '"versionInfo": "2.41-11"'),
      'tiny-1.0-x86_64.spdx.json: it does not list what tiny-1.0-x86_64.cdx.json does: ["libc6","2.41-11",',
    ],
    [
      'an SPDX document of another version',
      'tiny-1.0-x86_64.spdx.json',
      (document) => document.replace('SPDX-2.3', 'SPDX-2.2'),
      'tiny-1.0-x86_64.spdx.json: it is not SPDX 2.3 as it is written here',
    ],
    [
      'a statement with a package that no bill has',
      'provenance.intoto.json',
      (statement) => {
        const parsed = JSON.parse(statement) as Statement
        const { resolvedDependencies } = parsed.predicate.buildDefinition
        resolvedDependencies.push({ name: 'package nano', uri: 'pkg:deb/debian/nano@8.4-1' })
        return JSON.stringify(parsed)
      },
      'provenance.intoto.json: pkg:deb/debian/nano@8.4-1 is in no bill of materials',
    ],
    [
      'a statement with two digests of a package',
      'provenance.intoto.json',
      (statement) => {
        const parsed = JSON.parse(statement) as Statement
        const { resolvedDependencies } = parsed.predicate.buildDefinition
        const genuine = resolvedDependencies.find(({ uri }) => uri?.startsWith('pkg:deb/'))
        resolvedDependencies.unshift({ ...genuine, digest: { sha256: 'd'.repeat(64) } })
        return JSON.stringify(parsed)
      },
      'provenance.intoto.json: it has pkg:deb/debian/',
    ],
    [
      'a registration of another file',
      'metadata.ini',
      (metadata) => `${metadata}[kvm-x86_64]\nfilename = release.json\nchecksum = 0\n`,
      'metadata.ini: its section [kvm-x86_64] is not for an image of this release',
    ],
    [
      'a registration that one reader sees, and another does not',
      'metadata.ini',
      (metadata) => `${metadata}[kvm]\nfilename = evil.qcow2\n`,
      'metadata.ini: it has the section [kvm] twice',
    ],
    [
      'a registration with two checksums',
      'metadata.ini',
      (metadata) => metadata.replace(/^checksum = .*$/m, '$&\nchecksum = 0'),
      'repeats checksum',
    ],
    [
      'a registration whose checksum only ends like one',
      'metadata.ini',
      (metadata) => metadata.replace(/^checksum = .*$/m, 'checksum = 0\nold$&'),
      'metadata.ini: it does not register tiny-1.0-x86_64-',
    ],
    [
      'a bill with a package inside of another',
      'tiny-1.0-x86_64.cdx.json',
      (bill) => {
        const parsed = JSON.parse(bill) as { components: object[] }
        const [first, ...others] = parsed.components
        const inner = { type: 'library', name: 'more', purl: 'pkg:deb/debian/more@1' }
        return JSON.stringify({ ...parsed, components: [{ ...first, components: [inner] }, ...others] })
      },
      'pkg:deb/debian/more@1 is in only one of them',
    ],
    [
      'a record whose name says who signed it',
      'release.json',
      (record) => record.replace(/"name": "tiny"/, '"name": "tiny 1.0: as signed by somebody\\n"'),
      'release.json: it cannot be read',
    ],
    [
      'a bill that would be validated for hours',
      'tiny-1.0-x86_64.cdx.json',
      (bill) => {
        const parsed = JSON.parse(bill) as { components: object[] }
        const more = Array.from({ length: 100_000 }, (_, index) => ({ type: 'library', name: `${index}` }))
        return JSON.stringify({ ...parsed, components: [...parsed.components, ...more] })
      },
      'tiny-1.0-x86_64.cdx.json: it is not CycloneDX: validating it means comparing ',
    ],
  ])('finds %s', async (_case, name, change, said) => {
    copy()
    writeFileSync(path('release', name), change(readFileSync(path('release', name), 'utf8')))
    await sealAgain(name)
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain(said)
  })

  it('finds lists that were all changed in the same way', async () => {
    copy()
    for (const list of checksumLists) {
      const lines = readFileSync(path('release', list), 'utf8').split('\n')
      const changed = lines.map((line) =>
        line.endsWith('RELEASE_NOTES.md') ? line.replace(/^./, (c) => (c === '0' ? '1' : '0')) : line,
      )
      writeFileSync(path('release', list), changed.join('\n'))
    }
    expect(await verify(path('release'))).toBe(4)
    for (const list of checksumLists)
      expect(text.stdout).toContain(`${list}: it is not the list of these files`)
  })

  it('opens no file outside of the release, whatever its record names', async () => {
    copy()
    const record = readFileSync(path('release', 'release.json'), 'utf8')
    writeFileSync(
      path('release', 'release.json'),
      record.replaceAll('"tiny-1.0-x86_64-kvm.qcow2"', '"../secret"'),
    )
    await sealAgain('release.json')
    expect(await verify(path('release'))).toBe(4)
    expect(text.stdout).toContain('release.json: it cannot be read')
  })

  it('says by whom it is signed only to those who trust the key', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path('key')])
    writeFileSync(path('signers'), `maker@example.org ${readFileSync(path('key.pub'), 'utf8')}`)
    const trust = ['--signers', path('signers')]
    copy()
    expect(await verify(path('release'), '--require-signature')).toBe(4)
    expect(text.stderr).toContain('✖ 12 files of tiny 1.0: internally consistent, but not authenticated')
    expect(await verify(path('release'), ...trust)).toBe(4)
    expect(text.stdout).toContain('sha512sum.txt.sig: it is missing')
    const made = ['--out', sound, '--to', path('signed'), '--sign', path('key')]
    expect(await main(['release', ...builtWords, ...made]), text.stderr).toBe(0)
    text.clear()
    expect(await verify(path('signed'), ...trust, '--require-signature'), text.stdout).toBe(0)
    expect(text.stderr).toMatch(/✔ 13 files of tiny 1\.0: as signed by maker@example\.org \(SSH key SHA256:/)
    writeFileSync(path('signed', 'more.txt'), 'more')
    text.clear()
    expect(await verify(path('signed'), ...trust)).toBe(4)
    expect(text.stderr).not.toContain('signed by')
  })

  it('says how many images were built again, and by whom', async () => {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path('key')])
    writeFileSync(path('rebuilders'), `alice@example.org ${readFileSync(path('key.pub'), 'utf8')}`)
    copy()
    const record = JSON.parse(readFileSync(path('release', 'release.json'), 'utf8')) as ReleaseRecord
    const rebuilt = record.variants.map((variant) =>
      compareRebuild(variant, {
        run: { startedAt: '2026-11-23T00:00:00.000Z', finishedAt: '2026-11-23T00:05:00.000Z' },
        host: { tools: {} },
        images: variant.files,
        packages: [],
      }),
    )
    const statement = renderRebuild(record, rebuilt, '1.2.3')
    mkdirSync(path('rebuilds'))
    writeFileSync(path('rebuilds', 'x.intoto.json'), statement)
    const signature = await signWithSsh(statement, rebuildNamespace, path('key'))
    writeFileSync(path('rebuilds', 'x.intoto.json.sig'), signature)
    const trust = ['--rebuilds', path('rebuilds'), '--rebuilders', path('rebuilders')]
    expect(await verify(path('release'), ...trust, '--require-rebuilds', '1'), text.stderr).toBe(0)
    expect(text.stderr).toContain('2 images rebuilt identically by alice@example.org (SSH key ')
  })

  it('refuses a folder that is none with 2', async () => {
    expect(await verify(path())).toBe(2)
    expect(await verify(path('nowhere'))).toBe(2)
  })
})
