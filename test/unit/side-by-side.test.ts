import { linkSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Target } from '../../src/config/image.ts'
import { exportSideBySide, type SideBySide } from '../../src/export/side-by-side.ts'
import { makeRawDisk, words } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { sampleImage } from '../support/pipelines.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()

describeWith(['qemu-img'], 'an export to several targets', () => {
  // More grains than may wait for a reader.
  const makeDisk = () => makeRawDisk(path('disk'), 2 ** 24, { 0: words('many', 2 ** 23) }).path

  const run = async (targets: readonly Target[], over: Partial<SideBySide<unknown>> = {}) =>
    exportSideBySide({
      ...(await sampleImage(path())),
      disk: makeDisk(),
      format: 'raw',
      flat: path('flat'),
      findKey: async () => 'key',
      targets,
      fileOf: (target) => path(target),
      onFile: async ({ target }) => target,
      emit: () => undefined,
      signal: new AbortController().signal,
      ...over,
    })

  it('does not write into a raw file that a killed run has finished', async () => {
    await run(['raw'])
    const finished = readFileSync(path('raw'))
    linkSync(path('raw'), path('flat'))
    const other = makeRawDisk(path('other'), 2 ** 24, { 0: words('other', 2 ** 20) }).path
    expect(await run(['kvm'], { disk: other })).toEqual(['kvm'])
    expect(readFileSync(path('raw')).equals(finished)).toBe(true)
  })

  it('does not wait for one that fails before it reads anything', async () => {
    const refused = new Error('refused')
    const made: string[] = []
    const job = run(['kvm', 'vmware'], {
      onBegin: async (target) => {
        if (target === 'kvm') throw refused
      },
      onFile: async ({ target }) => made.push(target),
    })
    await expect(job).rejects.toBe(refused)
    expect(made).toEqual(['vmware'])
    expect(readdirSync(path())).toContain('vmware')
    expect(readdirSync(path())).not.toContain('flat')
  })
})
