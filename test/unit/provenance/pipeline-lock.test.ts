import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { sha256 } from '../../../src/digest.ts'
import { planImage } from '../../../src/plan/plan.ts'
import type { Inputs } from '../../../src/provenance/inputs.ts'
import {
  compareLocks,
  type Locked,
  lockOf,
  readLock,
  renderLock,
  requireLocked,
  requireSameInputs,
} from '../../../src/provenance/lock.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { seal } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const never = new AbortController().signal

const one = { architecture: 'amd64', file: null, licenses: [] }
const inputs: Inputs = {
  version: 1,
  variant: 'trixie-x86_64',
  installer: 'bootstrap',
  snapshot: null,
  archives: [
    {
      suite: 'trixie',
      url: 'http://deb.debian.org/debian',
      codename: 'trixie',
      date: '2026-01-01T00:00:00.000Z',
      sha256: 'a'.repeat(64),
      signers: ['F'],
    },
  ],
  packages: [
    { name: 'openssl', version: '3.5.1-1', sha256: 'b'.repeat(64), ...one },
    { name: 'libc6', version: '2.41-12', sha256: null, ...one },
  ],
  layers: [
    {
      name: 'base',
      key: 'c'.repeat(64),
      sha256: 'd'.repeat(64),
      script: null,
      files: {},
      scripts: [],
      installerFiles: {},
      tools: { mmdebstrap: '1.3.5', git: '2.39', ssh: 'unknown' },
    },
  ],
  templates: {},
}

function write(of: Inputs = inputs): Promise<Locked> {
  writeFileSync(
    path('pipeline.lock.yaml'),
    renderLock({ version: 1, variants: { [of.variant]: lockOf(of) } }),
  )
  return readLock(path('pipeline.lock.yaml'))
}

const withPackages = (packages: Inputs['packages']): Inputs => ({ ...inputs, packages })

describe('a lock', () => {
  it('is read as it was written, in the order of names, and known by its checksum', async () => {
    const locked = await write()
    expect(locked.lock.variants['trixie-x86_64']).toEqual(lockOf(inputs))
    const text = readFileSync(path('pipeline.lock.yaml'), 'utf8')
    expect(locked.sha256).toBe(sha256(text))
    expect(text.indexOf('libc6:')).toBeLessThan(text.indexOf('openssl:'))
    expect(text).toContain(`    packages:
      libc6:
        architecture: amd64
        sha256: null
        version: 2.41-12
`)
  })

  it('has the tools that leave a trace in an image, and no others', () => {
    expect(lockOf(inputs).tools).toEqual({ mmdebstrap: '1.3.5' })
  })

  it('is kept by a build that is made from the same', async () => {
    expect(() =>
      requireSameInputs(inputs, {
        path: '',
        sha256: '',
        lock: { version: 1, variants: { 'trixie-x86_64': lockOf(inputs) } },
      }),
    ).not.toThrow()
  })

  it('says every difference', async () => {
    const now = lockOf({
      ...withPackages([
        { name: 'openssl', version: '3.5.4-1', sha256: 'e'.repeat(64), ...one },
        { name: 'nano', version: '8.4-1', sha256: null, ...one },
      ]),
      archives: [
        {
          ...(inputs.archives[0] as Inputs['archives'][number]),
          date: '2026-02-01T00:00:00.000Z',
          sha256: 'f'.repeat(64),
        },
      ],
      snapshot: '20260201T000000Z',
    })
    expect(compareLocks(lockOf(inputs), now)).toEqual([
      'snapshot: nothing → 20260201T000000Z',
      'archive trixie: 2026-01-01T00:00:00.000Z → 2026-02-01T00:00:00.000Z',
      'package libc6: 2.41-12 → nothing',
      'package nano: nothing → 8.4-1',
      'package openssl: 3.5.1-1 → 3.5.4-1',
    ])
  })

  it('is broken by another file of the same version', async () => {
    const locked = await write()
    const other = withPackages([
      { name: 'openssl', version: '3.5.1-1', sha256: 'e'.repeat(64), ...one },
      ...inputs.packages.slice(1),
    ])
    expect(() => requireSameInputs(other, locked)).toThrow(
      expect.objectContaining({
        code: 'lock-mismatch',
        exitCode: 1,
        message: `trixie-x86_64 does not match the lock ${path('pipeline.lock.yaml')}:\n  package openssl 3.5.1-1, sha256: ${'b'.repeat(64)} → ${'e'.repeat(64)}`,
      }),
    )
  })

  it('is broken by another kernel to install with', async () => {
    const installedBy = (linux: string): Inputs => ({
      ...inputs,
      layers: inputs.layers.map((layer) => ({ ...layer, installerFiles: { linux } })),
    })
    const locked = await write(installedBy('a'.repeat(64)))
    expect(() => requireSameInputs(installedBy('a'.repeat(64)), locked)).not.toThrow()
    expect(() => requireSameInputs(installedBy('b'.repeat(64)), locked)).toThrow(/file linux: a+ → b+/)
  })

  it('is broken by other tools before anything is built', async () => {
    const image: ResolvedImage = await sampleImage(path())
    const store = openStore(path('store'))
    mkdirSync(store.folder)
    await seal((await planImage(image, store)).base, store)
    const plan = await planImage(image, store)
    const locked = await write()
    await expect(
      requireLocked(plan, locked, { mmdebstrap: '1.3.5' }, { signal: never }),
    ).resolves.toBeUndefined()
    await expect(
      requireLocked(plan, locked, { mmdebstrap: '1.5.7' }, { signal: never }),
    ).rejects.toMatchObject({
      code: 'lock-mismatch',
      exitCode: 3,
      message: expect.stringContaining('tool mmdebstrap: 1.3.5 → 1.5.7'),
    })
  })

  it('has to have the variant', async () => {
    const locked = await write({ ...inputs, variant: 'bookworm-x86_64' })
    expect(() => requireSameInputs(inputs, locked)).toThrow(
      expect.objectContaining({ code: 'lock-incomplete', exitCode: 2 }),
    )
  })

  it.each([
    ['is not there', undefined, 'lock-missing'],
    ['is no YAML', 'version: [', 'lock-unreadable'],
    ['is of another form', 'version: 2\nvariants: {}\n', 'lock-unreadable'],
    ['has more than it may', 'version: 1\nvariants: {}\nmore: 1\n', 'lock-unreadable'],
  ])('that %s is refused with 2', async (_case, text, code) => {
    if (text !== undefined) writeFileSync(path('pipeline.lock.yaml'), text)
    await expect(readLock(path('pipeline.lock.yaml'))).rejects.toMatchObject({ code, exitCode: 2 })
  })
})
