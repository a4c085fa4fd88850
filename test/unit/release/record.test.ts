import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { findReleaseRecord, readReleaseRecord } from '../../../src/release/record.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()
const record = () => path('release.json')
const sample = makeSampleRelease(3)

describe('the record of a release', () => {
  it('is found in its folder, or by its own path', async () => {
    writeFileSync(record(), JSON.stringify(sample))
    expect(await readReleaseRecord(path())).toEqual(sample)
    expect(await readReleaseRecord(record())).toEqual(sample)
    expect(await findReleaseRecord(path())).toEqual(sample)
  })

  it.each<[string, () => void, string]>([
    ['nothing', () => undefined, 'it is not there (ENOENT)'],
    ['a folder', () => mkdirSync(record()), 'it is not a file'],
    ['half a record', () => writeFileSync(record(), '{"version": 1'), 'it has another format'],
    ['a later format', () => writeFileSync(record(), '{"version": 2}'), 'it has another format'],
    [
      'a name that leads out of the folder',
      () => writeFileSync(record(), JSON.stringify(sample).replaceAll('.cdx.json', '/../x')),
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
})
