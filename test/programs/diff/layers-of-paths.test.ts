import { mkdirSync, readdirSync } from 'node:fs'
import { expect, it } from 'vitest'
import { divideByLayer, type ReadableLayer } from '../../../src/diff/layers-of-paths.ts'
import { openDisk } from '../../../src/disk/disk-files.ts'
import { changeFilesystem, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

/** A layer with a disk of its own, and a note of when it is opened. */
function layer(name: string, tree: Tree, opened: string[], requests: readonly string[] = []): ReadableLayer {
  const file = path(`${name}.raw`)
  makeFilesystem(file, { type: 'ext4', sizeMiB: 8, from: makeTree(path(`${name}-tree`), tree) })
  if (requests.length > 0) changeFilesystem(file, requests)
  mkdirSync(path('work'), { recursive: true })
  const { signal } = new AbortController()
  return {
    name,
    open: () => {
      opened.push(name)
      return openDisk(file, { format: 'raw', workFolder: path('work'), signal })
    },
  }
}

describeWith(['qemu-img', 'sfdisk', 'blkid', 'mke2fs', 'debugfs'], 'paths of a disk', () => {
  it('belong to the lowest layer from which on they are what they are', async () => {
    const opened: string[] = []
    const layers = [
      layer(
        'base',
        { 'etc/a': '1', 'etc/b': '1', 'etc/back': '1', 'etc/mode': 'x', 'etc/gone': 'x' },
        opened,
      ),
      layer('one', { 'etc/a': '1', 'etc/b': '2', 'etc/back': '2', 'etc/mode': 'x', 'etc/gone': 'x' }, opened),
      layer('two', { 'etc/a': '1', 'etc/b': '2', 'etc/back': '1', 'etc/mode': 'x' }, opened, [
        'set_inode_field /etc/mode mode 0100600',
      ]),
    ]
    const paths = ['/etc/a', '/etc/b', '/etc/back', '/etc/gone', '/etc/mode', '/etc/never']
    expect(await divideByLayer(paths, layers)).toEqual([
      { layer: 'base', paths: ['/etc/a', '/etc/never'] },
      { layer: 'one', paths: ['/etc/b'] },
      { layer: 'two', paths: ['/etc/back', '/etc/gone', '/etc/mode'] },
    ])
    expect(opened).toEqual(['two', 'one', 'base'])
    expect(readdirSync(path('work'))).toEqual([])
  })

  it('are not looked for below the layer that made them', async () => {
    const opened: string[] = []
    const layers = ['base', 'one', 'two'].map((name) =>
      layer(name, { 'etc/a': name === 'base' ? '1' : '2', 'etc/b': name }, opened),
    )
    expect(await divideByLayer(['/etc/b'], layers)).toEqual([{ layer: 'two', paths: ['/etc/b'] }])
    expect(opened).toEqual(['two', 'one'])
  })
})
