import { writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { computeChecksums } from '../../../src/export/checksums.ts'
import { computeFileChecksums } from '../../../src/release/file-checksums.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const { signal } = new AbortController()

// A short file is read here, a long one in a thread.
describe.each([100, 3 * 2 ** 20 + 1])('a file of %i bytes', (bytes) => {
  const written = async () => {
    writeFileSync(path('file'), Buffer.alloc(bytes, 'systemvm'))
    return computeChecksums(path('file'), signal)
  }

  it('has all its checksums where nothing is known of it', async () => {
    const checksums = await written()
    expect(await computeFileChecksums(path('file'), undefined, signal)).toEqual(checksums)
  })

  it('has the md5 of the record, where it is the file of the record', async () => {
    const checksums = await written()
    const recorded = { ...checksums, md5: 'as recorded' }
    expect(await computeFileChecksums(path('file'), recorded, signal)).toEqual(recorded)
  })

  it.each(['sha256', 'sha512'])('has its own md5 where its %s is another', async (algorithm) => {
    const checksums = await written()
    const recorded = { ...checksums, md5: 'as recorded', [algorithm]: 'another' }
    expect(await computeFileChecksums(path('file'), recorded, signal)).toEqual(checksums)
  })
})
