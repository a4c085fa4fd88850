import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { imageNode } from '../../../src/disk/block-node.ts'
import { PipelineError } from '../../../src/errors.ts'
import { exportSideBySide, type SideBySide } from '../../../src/export/side-by-side.ts'
import type { TargetName } from '../../../src/targets/registry.ts'
import { makeRawDisk, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

describeWith(['qemu-img'], 'an export to several targets', () => {
  // More grains than may wait for a reader.
  const makeDisk = () => makeRawDisk(path('disk'), 2 ** 24, { 0: words('many', 2 ** 23) }).path

  const run = async (targets: readonly TargetName[], over: Partial<SideBySide<unknown>> = {}) =>
    exportSideBySide({
      ...(await sampleImage(path())),
      disk: imageNode('raw', makeDisk()),
      workFolder: path('work'),
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
    mkdirSync(path('work'))
    linkSync(path('raw'), path('work', 'disk.raw'))
    const other = makeRawDisk(path('other'), 2 ** 24, { 0: words('other', 2 ** 20) }).path
    expect(await run(['kvm'], { disk: imageNode('raw', other) })).toEqual(['kvm'])
    expect(readFileSync(path('raw')).equals(finished)).toBe(true)
  })

  it('that is interrupted while it computes checksums leaves no file that is not in the lists', async () => {
    const stopping = new AbortController()
    const job = run(['kvm'], {
      emit: (event) => {
        if (event.kind === 'part-progress' && event.text.startsWith('checksums'))
          stopping.abort(new Error('stopped'))
      },
      signal: stopping.signal,
    })
    await expect(job).rejects.toThrow('stopped')
    for (const name of ['kvm', 'work', 'md5sum.txt']) expect(readdirSync(path())).not.toContain(name)
  })

  it('gives no file its name once the folder is another run’s, and removes nothing of that one', async () => {
    const confirm = () => Promise.reject(new PipelineError({ code: 'lock-lost', message: 'lost' }))
    const onBegin = async () => {
      // The other run has emptied the folder, and writes under the same name.
      rmSync(path('work'), { recursive: true })
      mkdirSync(path('work'))
      writeFileSync(path('work', 'theirs'), 'theirs')
    }
    await expect(run(['kvm'], { confirm, onBegin })).rejects.toMatchObject({ code: 'lock-lost' })
    for (const name of ['kvm', 'md5sum.txt']) expect(readdirSync(path())).not.toContain(name)
    expect(readdirSync(path('work'))).toContain('theirs')
  })

  it('does not wait for one that fails before it reads anything', async () => {
    const made: string[] = []
    const job = run(['kvm', 'vmware'], {
      onBegin: async (target) => {
        if (target === 'kvm') throw new Error('refused')
      },
      onFile: async ({ target }) => made.push(target),
    })
    await expect(job).rejects.toThrow(`the image ${path('kvm')} could not be made: refused`)
    expect(made).toEqual(['vmware'])
    expect(readdirSync(path())).toContain('vmware')
    expect(readdirSync(path())).not.toContain('work')
  })
})
