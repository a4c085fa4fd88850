import { expect, it } from 'vitest'
import { streamContent } from '../../../src/disk/debugfs.ts'
import { readTree } from '../../../src/disk/filesystem.ts'
import { makeFilesystem, makeTree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signal } = new AbortController()

/** The one file of a new filesystem. */
async function makeLargeFile(sizeBytes: number) {
  makeFilesystem(path('ext4'), {
    type: 'ext4',
    sizeMiB: 10,
    from: makeTree(path('tree'), { large: Buffer.alloc(sizeBytes, 'x') }),
  })
  const large = (await readTree(path('ext4'), 100, signal)).get('/large')
  if (large === undefined) throw new Error('the filesystem lacks its file')
  return large
}

describeWith(['mke2fs', 'debugfs'], 'the content of files', () => {
  it('that cannot be taken, for a full disk, is no fault of the filesystem', async () => {
    const large = await makeLargeFile(2_000_000)
    const full = () => {
      throw new Error('ENOSPC: no space left on device, write')
    }
    const reading = streamContent(path('ext4'), [large], full, signal)
    await expect(reading).rejects.toThrow('ENOSPC')
  })

  it('is no longer read after the run is stopped, which is no crash', async () => {
    const large = await makeLargeFile(8_000_000)
    const stopping = new AbortController()
    const reading = streamContent(path('ext4'), [large], () => stopping.abort(), stopping.signal)
    await expect(reading).rejects.toThrow('aborted')
  })
})
