/** What the package set of an image has in it, from the disks of its layers. */

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { aptListName } from '../../../src/debian/archives.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { readSetLists } from '../../../src/release/package-lists.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStore, type Store } from '../../../src/store/store.ts'
import { makeDisk, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { recordedFacts } from '../../support/layers.ts'
import { startMirror, type TestMirror } from '../../support/mirror.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
let mirror: TestMirror
beforeAll(async () => {
  mirror = await startMirror()
})
afterAll(() => mirror.close())

type Versions = Readonly<Record<string, string>>

/** What a layer has installed, and what its lists have; no lists if the stage has removed them. */
interface Content {
  readonly installed: Versions
  readonly listed?: Versions
}

const tools = ['gpg', 'gpgv', 'debugfs', 'mke2fs', 'sfdisk', 'blkid', 'qemu-img'] as const

describeWith(tools, 'the package set of an image', () => {
  let image: ResolvedImage
  let store: Store
  beforeEach(async () => {
    image = await sampleImage(path(), {
      mirror: { debian: mirror.debian, security: mirror.security, keyring: mirror.keyring },
    })
    store = openStore(path('out', 'store'))
    mkdirSync(store.folder, { recursive: true })
  })

  function makeTreeOf({ installed, listed }: Content): Tree {
    const status = Object.entries(installed)
      .map(
        ([name, version]) =>
          `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
      )
      .join('\n')
    const rest = { 'etc/fstab': 'LABEL=root / ext4 defaults 0 1\n', 'var/lib/dpkg/status': status }
    if (listed === undefined) return rest
    const stanzas = Object.entries(listed).map(
      ([name, version]) =>
        `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nFilename: pool/${name}_${version}.deb\nSize: 9\nSHA256: ${'0'.repeat(64)}\n`,
    )
    const index = Buffer.from(stanzas.join('\n'))
    mirror.publish('trixie', { index })
    const name = `var/lib/apt/lists/${aptListName(mirror.debian)}_dists_trixie`
    const signed = mirror.read('/debian/dists/trixie/InRelease')
    return { ...rest, [`${name}_InRelease`]: signed, [`${name}_main_binary-amd64_Packages`]: index }
  }

  function writeDisk(name: string, content: Content, to: string): void {
    const from = makeTree(path(`${name}-tree`), makeTreeOf(content))
    makeFilesystem(path(`${name}-root`), { type: 'ext4', sizeMiB: 10, from, label: 'root' })
    const table = 'label: dos\nunit: sectors\n1 : start=2048, size=20480, type=83\n'
    makeDisk(path(`${name}.raw`), 14, table, { 2048: path(`${name}-root`) })
    execFileSync('qemu-img', ['convert', '-O', 'qcow2', path(`${name}.raw`), to])
  }

  /** Seals layer 0, and a stage above it. */
  async function build(base: Content, stage: Content): Promise<readonly Layer[]> {
    const plan = await planImage(image, store)
    const layers: Layer[] = []
    for (const [index, { key, name, parent, parts }] of [plan.base, plan.stages[0]]
      .filter((one) => one !== undefined)
      .entries()) {
      const [content, before] = index === 0 ? [base, {}] : [stage, base.installed]
      writeDisk(name, content, store.disk(key))
      const added = Object.entries(content.installed).flatMap(([one, version]) =>
        Object.entries(before).some(([known, old]) => known === one && old === version)
          ? []
          : [{ name: one, version }],
      )
      const packages = { added, removed: [], upgraded: [] }
      layers.push(await store.commit({ key, name, parent, parts, ...recordedFacts, packages }))
    }
    return layers
  }

  const read = async (layers: readonly Layer[]) => {
    const { lists, packages } = await readSetLists(image, layers, store, never)
    return { lists: lists.length, packages: packages.map(({ name, version }) => `${name} ${version}`).sort() }
  }

  it('has what stages have installed, also what is gone again, as the newest lists have it', async () => {
    const layers = await build(
      { installed: { base: '1', gone: '1' }, listed: { base: '1', gone: '1' } },
      { installed: { base: '1', tool: '2' }, listed: { base: '1', gone: '1', tool: '2', other: '3' } },
    )
    expect(await read(layers)).toEqual({ lists: 2, packages: ['base 1', 'gone 1', 'tool 2'] })
  })

  it('has no packages that a stage brought along, and the lists of layer 0 if a stage removed its own', async () => {
    const layers = await build(
      { installed: { base: '1' }, listed: { base: '1', tool: '2' } },
      { installed: { base: '1', tool: '2', 'of-a-file': '1' } },
    )
    expect(await read(layers)).toEqual({ lists: 2, packages: ['base 1', 'tool 2'] })
  })

  it('does not exist if a stage has upgraded what layer 0 has', async () => {
    const layers = await build(
      { installed: { base: '1' }, listed: { base: '1' } },
      { installed: { base: '2' }, listed: { base: '2' } },
    )
    await expect(read(layers)).rejects.toMatchObject({
      code: 'packages-missing',
      message: expect.stringContaining('base has base 1, which is in no list of first'),
      hint: expect.stringContaining('--no-cache'),
    })
  })

  it('does not exist if no archive has what is in layer 0', async () => {
    const layers = await build(
      { installed: { base: '1', own: '1' }, listed: { base: '1' } },
      { installed: { base: '1', own: '1' } },
    )
    await expect(read(layers)).rejects.toMatchObject({
      message: expect.stringContaining('no signed list of trixie-x86_64 has own 1'),
    })
  })
})
