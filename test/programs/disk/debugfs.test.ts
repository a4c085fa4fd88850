import { expect, it } from 'vitest'
import { streamContent } from '../../../src/disk/debugfs.ts'
import { readTree } from '../../../src/disk/filesystem.ts'
import { makeFilesystem, makeTree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signal } = new AbortController()

describeWith(['mke2fs', 'debugfs'], 'the content of files', () => {
  it('that cannot be taken, for a full disk, is no fault of the filesystem', async () => {
    makeFilesystem(path('ext4'), {
      type: 'ext4',
      sizeMiB: 10,
      from: makeTree(path('tree'), { large: Buffer.alloc(2_000_000, 'x') }),
    })
    const large = (await readTree(path('ext4'), 100, signal)).get('/large')
    const full = () => {
      throw new Error('ENOSPC: no space left on device, write')
    }
    const reading = streamContent(path('ext4'), large === undefined ? [] : [large], full, signal)
    await expect(reading).rejects.toThrow('ENOSPC')
  })
})
