import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fileNode, imageNode, nodeName, stretchNode } from '../../../src/disk/block-node.ts'
import { openChain } from '../../../src/disk/chain.ts'
import {
  checkImage,
  compareImages,
  convertImage,
  createDisk,
  createOverlay,
  mapImage,
  readImageInfo,
  requireSound,
} from '../../../src/disk/qemu-img.ts'
import {
  checkArguments,
  compareArguments,
  convertArguments,
  createArguments,
  infoArguments,
  mapArguments,
  overlayArguments,
} from '../../../src/disk/qemu-img-arguments.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const here = process.cwd()
const disk = imageNode('qcow2', '/disks/a.qcow2')
const name = 'json:{"driver":"qcow2","file":{"driver":"file","filename":"/disks/a.qcow2"}}'

describe('the command lines of qemu-img', () => {
  it.each<[reason: string, words: readonly string[], line: string]>([
    ['sizes are bytes', createArguments('/d', 1024), 'create -q -f qcow2 -- /d 1024'],
    ['no file is an option', createArguments('-q', 1), `create -q -f qcow2 -- ${here}/-q 1`],
    ['no file is a server', createArguments('nbd:h:1', 1), `create -q -f qcow2 -- ${here}/nbd:h:1 1`],
    [
      'an overlay is as large as what is below, which is looked at',
      overlayArguments({ file: '/o', backing: '/b' }),
      'create -q -f qcow2 -b /b -F qcow2 -- /o',
    ],
    [
      'what is below may be empty where the size is given',
      overlayArguments({ file: '/o', backing: 'b', sizeBytes: 7 }),
      'create -q -u -f qcow2 -b b -F qcow2 -- /o 7',
    ],
    [
      'no file below is a server, and it stays relative',
      overlayArguments({ file: '/o', backing: 'nbd:b', sizeBytes: 7 }),
      'create -q -u -f qcow2 -b ./nbd:b -F qcow2 -- /o 7',
    ],
    [
      'a disk to read is a node',
      convertArguments({ from: disk, to: '/r', format: 'raw' }),
      `convert -O raw -- ${name} /r`,
    ],
    [
      'options of a format are one word, and no value ends it',
      convertArguments({
        from: disk,
        to: '/q',
        format: 'qcow2',
        options: { compat: '1.1', compression_type: 'a,b' },
        isCompressed: true,
        showsProgress: true,
      }),
      `convert -p -c -O qcow2 -o compat=1.1,compression_type=a,,b -- ${name} /q`,
    ],
    ['both disks are nodes', compareArguments(disk, disk), `compare -- ${name} ${name}`],
    ['answers are for machines', checkArguments(disk), `check --output=json -- ${name}`],
    ['what is below need not be there', infoArguments(disk), `info --output=json -- ${name}`],
    ['holes are found in a node', mapArguments(disk), `map --output=json -- ${name}`],
  ])('%s', (_, words, line) => {
    expect(words.join(' ')).toBe(line)
  })

  it('name a stretch of a file', () => {
    const node = { driver: 'vmdk', file: stretchNode(fileNode('/a.ova'), { offset: 512, sizeBytes: 1024 }) }
    expect(JSON.parse(nodeName(node).slice('json:'.length))).toEqual({
      driver: 'vmdk',
      file: { driver: 'raw', offset: 512, size: 1024, file: { driver: 'file', filename: '/a.ova' } },
    })
  })
})

describeWith(['qemu-img'], 'qemu-img', () => {
  const path = useFolder()
  afterEach(() => vi.unstubAllEnvs())
  /** A program of that name that runs these lines. */
  const fake = (lines: string) => {
    mkdirSync(path('bin'))
    writeFileSync(path('bin', 'qemu-img'), `#!/bin/sh\n${lines}\n`)
    chmodSync(path('bin', 'qemu-img'), 0o755)
    vi.stubEnv('PATH', `${path('bin')}:${process.env.PATH}`)
  }
  const makeRaw = (file: string, text: string) => {
    writeFileSync(file, text)
    truncateSync(file, 1024 ** 2)
    return imageNode('raw', file)
  }

  it('makes a chain whose store can be moved, and reads it', async () => {
    await createDisk(path('base.qcow2'), 1024 ** 2)
    await createOverlay({ file: path('top.qcow2'), backing: 'base.qcow2', sizeBytes: 2 * 1024 ** 2 })
    const top = imageNode('qcow2', path('top.qcow2'))
    expect(await readImageInfo(top)).toMatchObject({ format: 'qcow2', 'virtual-size': 2 * 1024 ** 2 })
    mkdirSync(path('moved'))
    execFileSync('mv', [path('base.qcow2'), path('top.qcow2'), path('moved')])
    const [first, second] = await openChain(path('moved', 'top.qcow2'), 'qcow2', 'same folder')
    expect([first.path, second?.path]).toEqual([path('moved', 'top.qcow2'), path('moved', 'base.qcow2')])
    await requireSound(first.node)
    expect(await readImageInfo(first.node)).toMatchObject({ 'virtual-size': 2 * 1024 ** 2 })
  })

  it('takes files with the names of options, servers and nodes for files', async () => {
    const before = process.cwd()
    process.chdir(path())
    try {
      for (const file of ['-q', 'nbd:host:1', 'json:{}', 'a,b=c', 'fat:x']) {
        await createDisk(file, 1024 ** 2)
        expect(existsSync(path(file))).toBe(true)
        await createOverlay({ file: path('top'), backing: file, sizeBytes: 1024 ** 2 })
        expect(await openChain(path('top'), 'qcow2', 'same folder')).toHaveLength(2)
        await convertImage({ from: imageNode('qcow2', file), to: `${file}.raw`, format: 'raw' })
        await compareImages(imageNode('qcow2', file), imageNode('raw', `${file}.raw`))
        await requireSound(imageNode('qcow2', file))
      }
    } finally {
      process.chdir(before)
    }
  })

  it('converts, says how far it is, and finds the first difference', async () => {
    const from = makeRaw(path('a.raw'), 'a')
    const shares: number[] = []
    const to = imageNode('qcow2', path('a.qcow2'))
    await convertImage(
      { from, to: path('a.qcow2'), format: 'qcow2', options: { compat: '1.1' }, isCompressed: true },
      undefined,
      (share) => shares.push(share),
    )
    expect(shares.at(-1)).toBe(1)
    expect(await checkImage(to)).toEqual({ status: 'sound', said: '', compressedClusters: 1 })
    await compareImages(from, to)
    await expect(compareImages(from, makeRaw(path('b.raw'), 'b'))).rejects.toMatchObject({
      name: 'QemuImgError',
      message: 'qemu-img compare: Content mismatch at offset 0!',
      exitCode: 1,
    })
    const [first] = await mapImage(from)
    expect(first).toMatchObject({ start: 0, data: true, zero: false })
  })

  it('tells damage, leaks and formats without a check apart', async () => {
    await createDisk(path('a.qcow2'), 1024 ** 2)
    const image = imageNode('qcow2', path('a.qcow2'))
    const bytes = readFileSync(path('a.qcow2'))
    expect(await checkImage(makeRaw(path('a.raw'), 'a'))).toMatchObject({ status: 'no-check' })
    // The first block of reference counts: a cluster counts as used that nothing refers to.
    const leaking = Buffer.concat([bytes, Buffer.alloc(2 * 65_536)])
    leaking.writeUInt16BE(1, 0x20000 + 2 * 5)
    writeFileSync(path('a.qcow2'), leaking)
    expect(await checkImage(image)).toMatchObject({ status: 'leaks' })
    await expect(requireSound(image)).rejects.toThrow('Leaked cluster 5')
    bytes.fill(0, 0x20000, 0x20008)
    writeFileSync(path('a.qcow2'), bytes)
    expect(await checkImage(image)).toMatchObject({ status: 'damaged' })
    await expect(requireSound(image)).rejects.toThrow('errors were found on the image')
  })

  it('is not taken for a check when it was killed', async () => {
    fake('kill -9 $$')
    await expect(checkImage(disk)).rejects.toThrow('SIGKILL')
  })

  it('speaks one language, reads no terminal, and ends when it is told to', async () => {
    fake('echo "$LC_ALL" >&2; [ -t 0 ] || read -r line || echo "no input" >&2; exit 1')
    vi.stubEnv('LC_ALL', 'de_DE.UTF-8')
    await expect(createDisk(path('d'), 1)).rejects.toThrow('C\nno input')
    fakeAgain('exec sleep 60')
    const stopping = new AbortController()
    const ended = createDisk(path('d'), 1, stopping.signal)
    stopping.abort(new Error('enough'))
    await expect(ended).rejects.toThrow('enough')
  })

  const fakeAgain = (lines: string) => writeFileSync(path('bin', 'qemu-img'), `#!/bin/sh\n${lines}\n`)

  it('that is not there is said to be missing', async () => {
    vi.stubEnv('PATH', path())
    await expect(checkImage(disk)).rejects.toThrow('this host lacks qemu-img')
  })
})
