/** What the rest of the product relies on in the file of any target, whichever there are. */

import { expect, it } from 'vitest'
import { imageNode } from '../../../src/disk/block-node.ts'
import { locateDisk } from '../../../src/disk/disk-source.ts'
import { compareImages } from '../../../src/disk/qemu-img.ts'
import { writeImage } from '../../../src/export/image-file.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { formatFields, targetNames, targets } from '../../../src/targets/registry.ts'
import type { TargetSettings } from '../../../src/targets/target.ts'
import { makeRawDisk, noise, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signal } = new AbortController()
const mib = 1024 ** 2

/** A size that every format can express. */
const diskBytes = 252 * mib

/** A raw disk is recognized by its boot sector. */
const bootSector = Buffer.concat([words('boot', 510), Buffer.from([0x55, 0xaa])])

const content = {
  0: bootSector,
  65536: words('start', 70_000),
  [100 * mib]: noise(5000),
  [251 * mib]: words('end', 4096),
}

describeWith(['qemu-img'], 'a file for', () => {
  it.each(targetNames)('%s has the format that the target states, and holds the disk', async (target) => {
    const { formats } = await sampleImage(path())
    const disk = makeRawDisk(path('disk.raw'), diskBytes, content)
    const job = {
      formats,
      disk,
      fileName: 'sample',
      sourceDateEpoch: 1_767_312_000,
      key: 'key',
      grains: undefined,
      onProgress: () => undefined,
      signal,
    }
    const settings: TargetSettings = formatFields[target].parse(undefined)
    const [file, again] = [path('file'), path('again')]
    await writeImage(target, job, file)
    const source = await locateDisk(file)
    expect(source.format, 'a format that src/disk/disk-format.ts must recognize').toBe(
      targets[target].format(settings),
    )
    await compareImages(imageNode('raw', disk.path), source.node, signal)
    await writeImage(target, job, again)
    expect(await sha256File(again), 'the same disk, settings and date give the same bytes').toBe(
      await sha256File(file),
    )
  })
})
