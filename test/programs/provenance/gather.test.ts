/** What an image was made from, from the layers of a store whose base has no apt lists: what is read, and what is recalled. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { beforeEach, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { gatherInputs } from '../../../src/provenance/gather.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { makeDisk, makeFilesystem, makeTree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

describeWith(['debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img'], 'the inputs of an image', () => {
  let image: ResolvedImage
  let store: Store
  beforeEach(async () => {
    image = await sampleImage(path())
    store = openStore(path('out', 'store'))
    mkdirSync(store.folder, { recursive: true })
  })

  function makeBase(): string {
    const status = ['libc6', 'libc-bin']
      .map(
        (name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.41-12\n`,
      )
      .join('\n')
    const from = makeTree(path('tree'), {
      'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n',
      'var/lib/dpkg/status': status,
      'usr/share/doc/libc-bin': ['libc6'],
      'usr/share/doc/libc6/copyright':
        'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: LGPL-2.1+\n',
    })
    makeFilesystem(path('root'), { type: 'ext4', sizeMiB: 10, from, label: 'root' })
    const table = 'label: dos\nunit: sectors\n1 : start=2048, size=20480, type=83\n'
    makeDisk(path('disk.raw'), 14, table, { 2048: path('root') })
    return path('disk.raw')
  }

  /** Seals what a plan lacks; of all layers only the base has a disk that can be read. */
  async function build(): Promise<Layer[]> {
    const { base, stages } = await planImage(image, store)
    const layers: Layer[] = []
    for (const { key, name, parent, parts, cached } of [base, ...stages]) {
      if (cached === undefined && parent === null)
        execFileSync('qemu-img', ['convert', '-O', 'qcow2', makeBase(), store.disk(key)])
      else if (cached === undefined) writeFileSync(store.disk(key), name)
      const names = parent === null ? ['libc6:amd64', 'libc-bin'] : []
      const added = names.map((name) => ({ name, version: '2.41-12' }))
      const made = {
        key,
        name,
        parent,
        parts,
        createdAt: '2026-01-02T03:04:05.000Z',
        buildTimeSeconds: 1,
        log: '',
      }
      const found = {
        artifacts: [],
        packages: { added, removed: [], upgraded: [] },
        bytesWritten: 0,
        tools: {},
      }
      layers.push(cached ?? (await store.commit({ ...made, ...found })))
    }
    return layers
  }
  const gather = (layers: readonly Layer[]) =>
    gatherInputs({ image, layers, store, outFolder: path('out'), signal: new AbortController().signal })

  it('are its packages with their licenses, its scripts and its layers', async () => {
    const layers = await build()
    const inputs = await gather(layers)
    const one = {
      version: '2.41-12',
      architecture: 'amd64',
      sha256: null,
      file: null,
      licenses: ['LGPL-2.1-or-later'],
    }
    // The folder of the first is a link to that of the other.
    expect(inputs.packages).toEqual([
      { name: 'libc-bin', ...one },
      { name: 'libc6', ...one },
    ])
    expect(inputs.layers.map(({ name, key, sha256 }) => ({ name, key, sha256 }))).toEqual(
      layers.map(({ name, key, sha256 }) => ({ name, key, sha256 })),
    )
    expect(inputs.layers.find(({ name }) => name === 'second')?.files).toHaveProperty('payload')
    expect(Object.keys(inputs.templates)).toContain('build.pkr.hcl.hbs')
  })

  it('are not read again for another last stage, and are for another base', async () => {
    const before = await gather(await build())
    writeFileSync(path('third.sh'), 'echo changed\n')
    const layers = await build()
    // Nobody could read it now.
    writeFileSync(store.disk(layers[0]?.key as LayerKey), 'no disk')
    expect((await gather(layers)).packages).toEqual(before.packages)
    expect(readdirSync(path('out', 'inputs'))).toHaveLength(2)
    const [base, ...above] = layers as [Layer, ...Layer[]]
    await expect(gather([{ ...base, sha256: 'f'.repeat(64) }, ...above])).rejects.toThrow(
      'cannot read the disk',
    )
  })
})
