import { statSync } from 'node:fs'
import { expect, it } from 'vitest'
import { imageNode } from '../../../src/disk/block-node.ts'
import { estimateRoom } from '../../../src/export/room.ts'
import { exportSideBySide } from '../../../src/export/side-by-side.ts'
import { type TargetName, targetNames } from '../../../src/targets/registry.ts'
import { makeRawDisk, noise, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const mib = 2 ** 20

describeWith(['qemu-img'], 'the room that an export is said to need', () => {
  it('is what it takes, and not much more', async () => {
    const { formats, ...image } = await sampleImage(path())
    // Two fifths of it do not compress, which is what the files of a system come to.
    const content = { 0: words('text', 12 * mib), [20 * mib]: noise(8 * mib) }
    const disk = makeRawDisk(path('disk'), 252 * mib, content)
    const room = estimateRoom(targetNames, formats, { sizeBytes: disk.sizeBytes, dataBytes: 20 * mib })
    const taken: Partial<Record<TargetName, number>> = {}
    await exportSideBySide({
      ...image,
      formats,
      disk: imageNode('raw', disk.path),
      workFolder: path('work'),
      findKey: async () => 'key',
      targets: targetNames,
      fileOf: (target) => path(target),
      onFile: async (file) => {
        taken[file.target] = statSync(file.path).blocks * 512
      },
      emit: () => undefined,
      signal: new AbortController().signal,
    })
    expect(room.flattenedBytes).toBe(20 * mib)
    for (const target of ['kvm', 'xenserver', 'hyperv', 'vmware'] as const) {
      expect(room.targets[target]).toBeGreaterThan(taken[target] as number)
      expect(room.targets[target]).toBeLessThan(2 * (taken[target] as number))
    }
    // It is the flattened disk.
    expect(room.targets.raw).toBe(0)
    const sum = Object.values(room.targets).reduce((total, bytes) => total + bytes, room.flattenedBytes)
    expect(room.totalBytes).toBe(sum)
  })

  it('counts both files of what is packed, and no more than the disk has', async () => {
    const { formats } = await sampleImage(path(), { formats: { raw: { archive: 'bz2' } } })
    const room = estimateRoom(['raw', 'xenserver'], formats, { sizeBytes: 126 * mib, dataBytes: 126 * mib })
    expect(room.targets.raw).toBeGreaterThan(40 * mib)
    expect(room.targets.xenserver).toBe(126 * mib)
    expect(Object.keys(room.targets)).toEqual(['raw', 'xenserver'])
  })
})
