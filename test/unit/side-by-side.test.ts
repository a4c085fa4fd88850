import { readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { exportSideBySide } from '../../src/export/side-by-side.ts'
import { makeRawDisk, words } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { sampleImage } from '../support/pipelines.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()

describeWith(['qemu-img'], 'an export to several targets', () => {
  // More grains than may wait for a reader.
  const makeDisk = () => makeRawDisk(path('disk'), 2 ** 24, { 0: words('many', 2 ** 23) }).path

  it('does not wait for one that fails before it reads anything', async () => {
    const refused = new Error('refused')
    const made: string[] = []
    const job = exportSideBySide({
      ...(await sampleImage(path())),
      disk: makeDisk(),
      format: 'raw',
      flat: path('flat'),
      findKey: async () => 'key',
      targets: ['kvm', 'vmware'],
      fileOf: (target) => path(target),
      onBegin: async (target) => {
        if (target === 'kvm') throw refused
      },
      onFile: async ({ target }) => made.push(target),
      emit: () => undefined,
      signal: new AbortController().signal,
    })
    await expect(job).rejects.toBe(refused)
    expect(made).toEqual(['vmware'])
    expect(readdirSync(path())).toContain('vmware')
    expect(readdirSync(path())).not.toContain('flat')
  })
})
