import { expect, it } from 'vitest'
import { exportQcow2 } from '../../src/formats/qcow2.ts'
import { sha256File } from '../../src/host/hash-file.ts'
import { makeRawDisk } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { describeJudge, hasLibrary, judgedBytes, judgedContent, readByLibrary } from './judges.ts'

const path = useFolder()

describeJudge('libqcow', { 'python3-libqcow': hasLibrary('pyqcow') }, () => {
  it.each(['0.10', '1.1'] as const)('reads a qcow2 of version %s as the disk', async (compat) => {
    const disk = makeRawDisk(path('disk.raw'), judgedBytes, judgedContent)
    const options = { compat, compression: 'zlib' } as const
    await exportQcow2(disk, path('disk.qcow2'), options, () => undefined, new AbortController().signal)
    expect(readByLibrary('pyqcow', path('disk.qcow2'))).toBe(`${judgedBytes} ${await sha256File(disk.path)}`)
  })
})
