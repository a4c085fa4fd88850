import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { loadPipeline } from '../../../src/config/load.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { openStore } from '../../../src/store/store.ts'
import { makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { seal } from '../../support/layers.ts'
import { runHere } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

const tiny = fileURLToPath(new URL('../../fixtures/tiny/pipeline.ts', import.meta.url))
const path = useFolder()
beforeEach(() => {
  mkdirSync(path('temporary'))
  vi.stubEnv('TMPDIR', path('temporary'))
})
afterEach(() => vi.unstubAllEnvs())

/** Runs the verb in this process. */
async function diff(...words: readonly string[]) {
  const ended = await runHere('diff', ...words, '--pipeline', tiny, '--out', path('out'))
  expect(readdirSync(path('temporary'))).toEqual([])
  return ended
}

/** Makes a qcow2 of a tree. */
function makeDisk(name: string, tree: Tree): string {
  const uuid = '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f'
  makeFilesystem(path(`${name}.raw`), { type: 'ext4', sizeMiB: 8, from: makeTree(path(name), tree), uuid })
  execFileSync('qemu-img', [
    'convert',
    '-f',
    'raw',
    '-O',
    'qcow2',
    path(`${name}.raw`),
    path(`${name}.qcow2`),
  ])
  return path(`${name}.qcow2`)
}

/** A store with the layers of all stages but the last, each with one line more than the one before. */
async function makeStore(): Promise<readonly string[]> {
  const { images } = await loadPipeline(tiny, [])
  const store = openStore(path('out', 'store'))
  mkdirSync(store.folder, { recursive: true })
  const { base, stages } = await planImage(images[0] as ResolvedImage, store)
  const layers = [base, ...stages].slice(0, -1)
  let text = 'first line\n'
  for (const layer of layers) {
    text += `${layer.name} was here\n`
    await seal(layer, store, readFileSync(makeDisk(layer.name, { 'etc/stages': text })))
  }
  return layers.map(({ key }) => key)
}

const snapshot = (folder: string) =>
  readdirSync(folder).map((name) => `${name} ${statSync(`${folder}/${name}`).mtimeMs}`)

describeWith(['qemu-img', 'sfdisk', 'blkid', 'mke2fs', 'debugfs'], 'the verb diff', () => {
  it('shows what a stage changed, and leaves the store as it was', async () => {
    await makeStore()
    const before = snapshot(path('out', 'store'))
    const { exitCode, stdout, stderr } = await diff('greet')
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toMatch(/^comparing base \w{12} → greet \w{12}\n$/)
    expect(stdout).toContain(' base was here\n')
    expect(stdout).toContain('+greet was here\n')
    expect(stdout).not.toContain('unpack')
    expect(snapshot(path('out', 'store'))).toEqual(before)
    expect(readdirSync(path('out'))).toEqual(['store'])
  })

  it('takes stages, keys, beginnings of keys and files in any mixture', async () => {
    const [baseKey = '', , unpackKey = ''] = await makeStore()
    const file = makeDisk('other', { 'etc/stages': 'another\n' })
    expect((await diff('base', unpackKey)).stdout).toContain('+unpack was here\n')
    expect((await diff(baseKey.slice(0, 8), file)).stdout).toContain('-base was here\n')
    expect((await diff(file, 'greet')).stdout).toContain('+greet was here\n')
    expect((await diff(unpackKey.slice(0, 10))).stderr).toContain('comparing greet')
  })

  it('ends with 0 whether or not there is a difference, and with 1 for one when asked', async () => {
    const [one, other] = [makeDisk('one', { 'etc/a': 'a' }), makeDisk('other', { 'etc/a': 'b' })]
    expect((await diff(one, other)).exitCode).toBe(0)
    expect((await diff(one, other, '--exit-code')).exitCode).toBe(1)
    expect(await diff(one, one, '--exit-code')).toMatchObject({ exitCode: 0, stdout: 'no difference\n' })
    // What differs elsewhere is none of what was asked for.
    expect((await diff(one, other, '--exit-code', '--path', '/lost+found')).exitCode).toBe(0)
  })

  it('prints JSON for machines', async () => {
    const [one, other] = [
      makeDisk('one', { 'etc/a': 'a\n' }),
      makeDisk('other', { 'etc/a': 'b\n', 'usr/new': '' }),
    ]
    const { stdout } = await diff(one, other, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      before: { name: one, format: 'qcow2' },
      isEqual: false,
      packages: { added: [] },
      partitions: [],
      added: [{ path: '/usr' }, { path: '/usr/new', type: 'file', mode: '0644', sizeBytes: 0 }],
      removed: [],
      changed: [
        {
          path: '/etc/a',
          aspects: ['content'],
          sha256: [expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)],
          content: { kind: 'lines', lines: ['--- a/etc/a', '+++ b/etc/a', '@@ -1,1 +1,1 @@', '-a', '+b'] },
        },
      ],
      sizes: { beforeBytes: 2, afterBytes: 2 },
    })
  })

  it.each([
    [
      'a stage that is none',
      ['nothing'],
      'there is no stage, layer or file "nothing"',
      'base, greet, unpack',
    ],
    ['a stage without a layer', ['misbehave'], 'stage misbehave has no layer yet', 'base, greet, unpack'],
    ['the base alone', ['base'], 'base has no layer below it', 'compare it with'],
    ['a file that is not there', ['base', './none.qcow2'], 'there is no disk image ./none.qcow2', 'path'],
    ['a file alone', [tiny], 'there is nothing to compare', 'two disk images'],
    ['a file that is no disk', ['base', tiny], 'neither a partition table nor a filesystem', 'qemu-img'],
    ['a path of neither', ['greet', '--path', '/none'], 'neither disk has /none', 'absolute'],
    ['a path that is none', ['greet', '--path', 'etc'], 'It must begin with a slash', ''],
  ])('explains %s', async (_case, words, said, hint) => {
    await makeStore()
    const { exitCode, stdout, stderr } = await diff(...words)
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' })
    expect(stderr).toContain(said)
    expect(stderr).toContain(hint)
    expect(stderr).not.toMatch(/^\s+at |bug/m)
  })
})
