import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import {
  findReleaseRecord,
  type ReleaseImage,
  type ReleaseRecord,
  type ReleaseVariant,
  readReleaseRecord,
  renderReleaseRecord,
} from '../../../src/release/record.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()
const record = () => path('release.json')
const sample = makeSampleRelease(3)

const [variant] = sample.variants as [ReleaseVariant]
const [file] = variant.files as [ReleaseImage]
const numbers = (count: number) => Array.from({ length: count }, (_, number) => `${number}`)
const withFiles = (count: number) => ({
  ...sample,
  variants: [{ ...variant, files: numbers(count).map((name) => ({ ...file, file: name })) }],
})
const withStages = (count: number) => ({
  ...sample,
  variants: [
    {
      ...variant,
      stages: numbers(count).map((name) => ({ name, build_time: 1, layerBytes: 1, status: 'built' })),
    },
  ],
})
const withPackages = (count: number) => ({
  ...sample,
  variants: [{ ...variant, packages: Object.fromEntries(numbers(count).map((name) => [name, '1'])) }],
})

describe('the record of a release', () => {
  it('is found in its folder, or by its own path', async () => {
    writeFileSync(record(), JSON.stringify(sample))
    expect(await readReleaseRecord(path())).toEqual(sample)
    expect(await readReleaseRecord(record())).toEqual(sample)
    expect(await findReleaseRecord(path())).toEqual(sample)
  })

  it.each<[string, () => void, string]>([
    ['nothing', () => undefined, 'it does not exist (ENOENT)'],
    ['a folder', () => mkdirSync(record()), 'it is not a file'],
    ['half a record', () => writeFileSync(record(), '{"version": 1'), 'it has another format'],
    ['a later format', () => writeFileSync(record(), '{"version": 2}'), 'it has another format'],
    [
      'a name that leads out of the folder',
      () => writeFileSync(record(), JSON.stringify(sample).replaceAll('.cdx.json', '/../x')),
      'it has another format',
    ],
    [
      'one of more files than can be compared',
      () => writeFileSync(record(), JSON.stringify(withFiles(101))),
      'it has another format',
    ],
    [
      'one that names a file twice',
      () =>
        writeFileSync(
          record(),
          JSON.stringify({ ...sample, variants: [...sample.variants, ...sample.variants] }),
        ),
      'it has another format',
    ],
    [
      'one of more stages than any build has',
      () => writeFileSync(record(), JSON.stringify(withStages(1001))),
      'it has another format',
    ],
    [
      'one of more packages than a page can compare',
      () => writeFileSync(record(), JSON.stringify(withPackages(20_001))),
      'it has another format',
    ],
    ...['\u2800', '\u3164', '\u115f', '\u1160', '\uffa0', '\u00a0'].map(
      (blank): [string, () => void, string] => [
        `one whose tag says who signed it, with blanks like ${blank.codePointAt(0)?.toString(16)}`,
        () =>
          writeFileSync(
            record(),
            JSON.stringify({ ...sample, tag: ['v1.0:', 'as', 'signed', 'by', 'apache'].join(blank) }),
          ),
        'it has another format',
      ],
    ),
    [
      'one whose name says who signed it',
      () => writeFileSync(record(), JSON.stringify({ ...sample, name: 'x 1.0: as signed by apache\n' })),
      'it has another format',
    ],
  ])('is not %s', async (_, make, why) => {
    make()
    const failure = await readReleaseRecord(path()).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(PipelineError)
    expect(failure).toMatchObject({
      code: 'no-release',
      message: `cannot read the record of a release ${record()}: ${why}`,
    })
    expect(await findReleaseRecord(path())).toBeUndefined()
  })

  it('is written only if it can be read again', () => {
    const long = '9'.repeat(201)
    const texts: [ReleaseRecord, string][] = [
      [
        { ...sample, variants: [{ ...variant, packages: { [`a${long}`]: '1' } }] },
        `variants.0.packages.a${long}`.slice(0, 200),
      ],
      [{ ...sample, variants: [{ ...variant, packages: { a: long } }] }, 'variants.0.packages.a: Too big'],
      [
        { ...sample, exceptions: [{ kind: 'outdated', text: long.repeat(100) }] },
        'exceptions.0.text: Too big',
      ],
      [{ ...sample, source: { commit: '9'.repeat(2 ** 23), changed: [] } }, 'where at most 8388608 are read'],
    ]
    expect(JSON.parse(renderReleaseRecord(sample))).toEqual(sample)
    for (const [record, why] of texts)
      expect(() => renderReleaseRecord(record)).toThrow(
        expect.objectContaining({ code: 'release-refused', message: expect.stringContaining(why) }),
      )
  })
})
