/** Images of others reach no file of the host and no server, whichever verb they are given to. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { openChain } from '../../../src/disk/chain.ts'
import { inspectImageFile } from '../../../src/disk/image-file.ts'
import { openImageFile } from '../../../src/installers/disk-image/open-image.ts'
import { readImagePackages } from '../../../src/release/read-image.ts'
import { useFolder } from '../../support/folder.ts'
import { hostileImages, makeSecret } from '../../support/hostile-images.ts'
import { useOutput } from '../../support/output.ts'
import { describeWith } from '../../support/tools.ts'

// Which tools this host has is not the question here, and asking takes a second each time.
vi.mock('../../../src/doctor/host-checks.ts', async (original) => ({
  ...(await original<object>()),
  requireFit: async () => undefined,
}))

const path = useFolder()
const never = new AbortController().signal
const programs = ['qemu-img', 'bzip2', 'tar', 'debugfs', 'sfdisk', 'blkid', 'qemu-system-x86_64']

let server: Server
let connections = 0
beforeAll(async () => {
  server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(() => server.close())

const output = useOutput()
const said = () => output.stdout + output.stderr
beforeEach(() => {
  connections = 0
})

const verbs: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  export: (file) => main(['export', '--from', file, '--out', path('out'), '--targets', 'raw', '--name', 'x']),
  'export with backing files': (file) =>
    main(['export', '--with-backing-files', '--from', file, '--out', path('out'), '--name', 'x']),
  run: (file) => main(['run', '--accelerator', 'tcg', file, '--out', path('out')]),
  verify: (file) =>
    main([
      'verify',
      '--target',
      'kvm',
      '--accelerator',
      'tcg',
      '--scenes',
      'none',
      file,
      '--out',
      path('out'),
    ]),
  diff: (file) => main(['diff', file, file, '--out', path('out')]),
}
const readers: Readonly<Record<string, (file: string) => Promise<unknown>>> = {
  'the installer disk-image': (file) => openImageFile(file, path(), never),
  'release and release verify': (file) => readImagePackages(file, never),
}

/** Local backing files are what the option is for. */
const isLocalChain = (verb: string, name: string) =>
  verb === 'export with backing files' && /^a backing file( of its own format)?\.qcow2$/.test(name)

/** `export` and `diff` read images, and no archives. */
const takes = (verb: string, name: string) => !name.endsWith('.bz2') || !/^(export|diff)/.test(verb)

describeWith(programs, 'an image that refers to', () => {
  describe.each(hostileImages)('$name', ({ name, make }) => {
    const makeIt = () => {
      const secret = makeSecret(path('secret'))
      const port = (server.address() as AddressInfo).port
      return { file: make(path(), { file: path('secret'), port }), secret }
    }
    const nothingLeft = (secret: string) => {
      expect(connections).toBe(0)
      const out = existsSync(path('out')) ? readdirSync(path('out'), { recursive: true }) : []
      for (const left of out.map(String).filter((one) => /\.(raw|qcow2|vhd|ova)$/.test(one)))
        expect(readFileSync(join(path('out'), left)).includes(secret)).toBe(false)
    }

    it.each(Object.keys(verbs).filter((verb) => takes(verb, name) && !isLocalChain(verb, name)))(
      'is refused by %s, by the name in it',
      async (verb) => {
        const { file, secret } = makeIt()
        expect(await verbs[verb]?.(file), said()).toBe(2)
        expect(said()).toMatch(/refers to another file, which is not opened: (backing|data|extent|parent)/)
        expect(said()).toContain(basename(file).replace(/\.bz2$/, ''))
        expect(said()).toContain('qemu-img convert')
        nothingLeft(secret)
      },
    )

    it.each(Object.keys(readers).filter((verb) => takes(verb, name)))('is refused by %s', async (verb) => {
      const { file, secret } = makeIt()
      await expect(readers[verb]?.(file)).rejects.toMatchObject({ code: 'disk-refers-elsewhere' })
      nothingLeft(secret)
    })
  })
})

describeWith(['qemu-img'], 'a chain of layers', () => {
  const create = (name: string, backing?: string, format = 'qcow2') => {
    const below = backing === undefined ? [] : ['-u', '-b', backing, '-F', format]
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...below, '--', path(name), '1M'])
  }

  it('is opened within its folder, by nodes that name every file', async () => {
    create('a.qcow2')
    create('b.qcow2', 'a.qcow2')
    create('c.qcow2', 'b.qcow2')
    const [top, ...below] = await openChain(path('c.qcow2'), 'qcow2', 'same folder')
    expect(below.map((link) => link.path)).toEqual([path('b.qcow2'), path('a.qcow2')])
    expect(top.node).toMatchObject({ backing: { backing: { file: { filename: path('a.qcow2') } } } })
  })

  it.each<[string, string]>([
    ['a file elsewhere', '../secret'],
    ['a file by its absolute name', '/etc/hostname'],
    ['the folder above', '..'],
    ['a server', 'nbd:127.0.0.1:10809'],
    ['a node', 'json:{"driver":"file"}'],
  ])('is refused with %s below', async (_, backing) => {
    create('a.qcow2', backing)
    await expect(openChain(path('a.qcow2'), 'qcow2', 'same folder')).rejects.toMatchObject({
      code: expect.stringMatching(/^disk-(refers-elsewhere|unreadable)$/),
    })
  })

  it('is refused when the lowest of its disks refers elsewhere, or to itself', async () => {
    create('a.qcow2', '/etc/hostname', 'raw')
    create('b.qcow2', 'a.qcow2')
    create('loop.qcow2', 'loop.qcow2')
    await expect(openChain(path('b.qcow2'), 'qcow2', 'same folder')).rejects.toThrow('/etc/hostname')
    await expect(openChain(path('loop.qcow2'), 'qcow2', 'local files')).rejects.toThrow('more than 256')
  })

  it('has no disk whose format its content decides', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'raw', path('raw'), '1M'])
    create('a.qcow2', path('raw'), 'raw')
    const bytes = readFileSync(path('a.qcow2'))
    // The extension that has the format.
    bytes.fill(0, bytes.indexOf(Buffer.from('e2792aca', 'hex')), bytes.indexOf('raw', 112) + 8)
    writeFileSync(path('a.qcow2'), bytes)
    const opened = inspectImageFile(path('a.qcow2'), { backing: 'local files', signal: never })
    await expect(opened).rejects.toMatchObject({ hint: expect.stringContaining('-F FORMAT') })
  })
})

describeWith(['qemu-img'], 'a file with the name of', () => {
  it.each(['nbd:127.0.0.1:1', 'json:{"driver":"nbd"}', '-q', 'fat:x', 'a,b=c'])(
    '%s is a file',
    async (name) => {
      mkdirSync(path('names'))
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '--', path('names', name), '1M'])
      const image = await inspectImageFile(path('names', name), { signal: never })
      expect(image).toMatchObject({ format: 'qcow2', sizeBytes: 1024 ** 2 })
    },
  )

  it.each(['QED\0', 'COWD', 'LUKS\u00ba\u00be', 'Bochs Virtual HD Image'])(
    'a format that is not read, %j, is refused',
    async (magic) => {
      writeFileSync(path('disk'), Buffer.concat([Buffer.from(magic, 'latin1'), Buffer.alloc(4096)]))
      const opened = inspectImageFile(path('disk'), { signal: never })
      await expect(opened).rejects.toMatchObject({
        code: 'disk-unreadable',
        hint: expect.stringContaining('qemu-img convert'),
      })
    },
  )
})
