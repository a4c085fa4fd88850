/** An archive that does not say what it unpacks to, on a host whose disk is nearly full. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { unpackArchive } from '../../../src/disk/unpack.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const freeMiB = 10

vi.mock('../../../src/host/files.ts', async (original) => ({
  ...(await original<typeof import('../../../src/host/files.ts')>()),
  freeBytes: async () => freeMiB * 1024 ** 2,
}))

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

describeWith(['bzip2'], 'an archive without the size of its content', () => {
  it('is unpacked as far as the host keeps some room', async () => {
    mkdirSync(path('work'))
    vi.stubEnv('TMPDIR', path('work'))
    const unpack = async (sizeMiB: number) => {
      writeFileSync(path('disk.raw'), Buffer.alloc(sizeMiB * 1024 ** 2))
      execFileSync('bzip2', ['-kf', path('disk.raw')])
      return await unpackArchive(path('disk.raw.bz2'), path('work'), new AbortController().signal)
    }
    await expect(unpack(8)).resolves.toBe(path('work', 'disk.raw'))
    await expect(unpack(10)).rejects.toMatchObject({
      code: 'no-space',
      exitCode: 3,
      message: `there is no room in ${path('work')} for the unpacked ${path('disk.raw.bz2')}: it needs more than 9 MiB, the most that it may fill`,
    })
    expect(readdirSync(path('work'))).toEqual(['disk.raw'])
  })
})
