import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { sha256 } from '../../../src/digest.ts'
import type { Disk } from '../../../src/disk/layout.ts'
import { PipelineError } from '../../../src/errors.ts'
import { installerOf, withInstallerStages } from '../../../src/installers/index.ts'
import type { InstalledBase } from '../../../src/installers/installer.ts'
import { makeDisk, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const rootUuid = '6f1e9a3c-0d5b-4c27-8a4e-3b0f6c1d2e4f'
const mib = 1024 ** 2

const root = {
  mount: '/',
  filesystem: 'ext4',
  grow: true,
  primary: true,
  bootable: true,
  reservedPercent: 0,
} as const
const disk: Disk = { sizeMiB: 126, partitions: [root] }

const installed = [
  'initramfs-tools',
  'iproute2',
  'openssh-server',
  'perl-base',
  'systemd-sysv',
  'udev',
  'dpkg',
]

const dpkgStatus = (names = installed, architecture = 'amd64', status = 'installed') =>
  names
    .map((name) =>
      [
        `Package: ${name}`,
        `Status: install ok ${status}`,
        `Architecture: ${architecture}`,
        'Version: 1',
        '',
      ].join('\n'),
    )
    .join('\n')

const files: Tree = {
  'etc/fstab': `UUID=${rootUuid} / ext4 errors=remount-ro 0 1\n`,
  'etc/os-release': ['../usr/lib/os-release'],
  'usr/lib/os-release': 'ID=debian\nVERSION_CODENAME=trixie\n',
  'var/lib/dpkg/status': dpkgStatus(),
  'boot/vmlinuz-6.1': 'a kernel',
  'boot/initrd.img-6.1': 'an initrd',
}

/** A raw disk of 64 MiB, with a root that has these files beside or in place of the usual ones. */
function makeImage(
  change: Partial<Record<keyof typeof files, Tree[string]>> = {},
  type: 'ext2' | 'ext4' = 'ext4',
  label = 'dos',
): string {
  const tree = Object.entries({ ...files, ...change }).filter(([, content]) => content !== undefined)
  makeTree(path('tree'), Object.fromEntries(tree) as Tree)
  makeFilesystem(path('root'), { type, sizeMiB: 48, from: path('tree'), uuid: rootUuid })
  const kind = label === 'dos' ? 'type=83, bootable' : 'type=L'
  makeDisk(path('golden.raw'), 64, `label: ${label}\nunit: sectors\n1 : start=2048, size=98304, ${kind}\n`, {
    2048: path('root'),
  })
  return path('golden.raw')
}

async function imageOf(source: string): Promise<ResolvedImage> {
  return { ...(await sampleImage(path(), { installer: { image: source } })), disk }
}

async function install(
  image: ResolvedImage,
  planned?: string,
  onProgress: (text: string) => void = () => undefined,
): Promise<InstalledBase> {
  const installer = installerOf(image)
  const { parts } = await installer.keyParts(image)
  mkdirSync(path('out', 'runs', 'run'), { recursive: true })
  return installer.install({
    image,
    planned: planned === undefined ? parts : { ...parts, image: planned },
    layout: { sizeBytes: 0, diskId: '', extended: undefined, partitions: [] },
    disk: path('layer.qcow2'),
    packageCache: path('packages'),
    runFolder: { id: 'run', path: path('out', 'runs', 'run'), outFolder: path('out') },
    packer: '1.6',
    acceleration: () => Promise.reject(new Error('nothing is booted')),
    emit: (event) => event.kind === 'part-progress' && onProgress(event.text),
    estimate: () => undefined,
    signal: new AbortController().signal,
  })
}

const failureOf = async (result: Promise<unknown>): Promise<PipelineError> => {
  const error = await result.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(PipelineError)
  return error as PipelineError
}

const tools = ['qemu-img', 'sfdisk', 'mke2fs', 'debugfs', 'blkid']

describeWith(tools, 'a disk image as layer 0', () => {
  it('becomes a disk of the size that is asked for, with its own partitions', async () => {
    const { layout, packages, installerFiles } = await install(await imageOf(makeImage()))
    expect(layout).toMatchObject({
      sizeBytes: 126 * mib,
      partitions: [{ mount: '/', number: 1, startSector: 2048, sectors: 98_304, uuid: rootUuid }],
    })
    expect(packages.added.map(({ name }) => name).sort()).toEqual([...installed].sort())
    expect(installerFiles).toEqual({ 'disk image': sha256(readFileSync(path('golden.raw'))) })
    execFileSync('qemu-img', ['convert', '-O', 'raw', path('layer.qcow2'), path('layer.raw')])
    const [before, after] = [readFileSync(path('golden.raw')), readFileSync(path('layer.raw'))]
    expect(after.length).toBe(126 * mib)
    expect(after.subarray(0, before.length).equals(before)).toBe(true)
  })

  it.each([
    ['qcow2', 'qcow2'],
    ['a dynamic VHD', 'vpc'],
  ])('may be %s', async (_case, format) => {
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', format, makeImage(), path('golden')])
    expect((await install(await imageOf(path('golden')))).layout?.partitions[0]?.uuid).toBe(rootUuid)
  })

  it('may be packed', async () => {
    writeFileSync(path('golden.raw.gz'), gzipSync(readFileSync(makeImage())))
    expect((await install(await imageOf(path('golden.raw.gz')))).layout?.partitions[0]?.uuid).toBe(rootUuid)
  })

  it.each([
    [
      'another partition table',
      'base-image-layout',
      'a partition table of the kind gpt, with partitions 1 (ext4, /)',
      () => makeImage({}, 'ext4', 'gpt'),
    ],
    [
      'another filesystem',
      'base-image-layout',
      'partition 1 has ext2, not ext4',
      () => makeImage({}, 'ext2'),
    ],
    [
      'another suite',
      'base-image-unfit',
      'it is debian bookworm, and not Debian trixie',
      () => makeImage({ 'usr/lib/os-release': 'ID=debian\nVERSION_CODENAME="bookworm"\n' }),
    ],
    [
      'another system',
      'base-image-unfit',
      'there is no /etc/os-release, and not Debian trixie',
      () => makeImage({ 'usr/lib/os-release': undefined as never }),
    ],
    [
      'another architecture',
      'base-image-unfit',
      'it is made for arm64, not amd64',
      () => makeImage({ 'var/lib/dpkg/status': dpkgStatus(installed, 'arm64') }),
    ],
    [
      'no dpkg',
      'base-image-unfit',
      'its dpkg knows of no packages',
      () => makeImage({ 'var/lib/dpkg/status': undefined as never }),
    ],
    [
      'packages that are half there',
      'base-image-unfit',
      'its package initramfs-tools is half-configured',
      () => makeImage({ 'var/lib/dpkg/status': dpkgStatus(installed, 'amd64', 'half-configured') }),
    ],
    [
      'no way in',
      'base-image-unfit',
      'it lacks openssh-server, without which',
      () =>
        makeImage({
          'var/lib/dpkg/status': dpkgStatus(installed.filter((name) => name !== 'openssh-server')),
        }),
    ],
    [
      'no kernel',
      'base-image-unfit',
      'it has no kernel in /boot',
      () => makeImage({ 'boot/vmlinuz-6.1': undefined as never }),
    ],
    [
      'no initrd',
      'base-image-unfit',
      'it has no initrd in /boot for its kernel 6.1',
      () => makeImage({ 'boot/initrd.img-6.1': undefined as never }),
    ],
  ])('is refused with %s', async (_case, code, text, make) => {
    const error = await failureOf(install(await imageOf(make())))
    expect(error.code).toBe(code)
    expect(error.message).toContain(text)
  })

  it('is refused when the disk is too small for it, and says what would fit where partitions are others', async () => {
    const image = await imageOf(makeImage())
    const small = await failureOf(install({ ...image, disk: { ...disk, sizeMiB: 63 } }))
    expect(small.message).toContain('the disk has 64 MiB, more than disk.sizeMiB, which is 63')
    const boot = { ...root, mount: '/boot', sizeMiB: 16, grow: false }
    const other = await failureOf(install({ ...image, disk: { ...disk, partitions: [boot, root] } }))
    expect(other.message).toContain('there are 1 partitions, not 2')
    const written = /disk\.partitions='(.*)'$/.exec(other.hint ?? '')?.[1] ?? ''
    expect(JSON.parse(written)).toEqual([
      { mount: '/', filesystem: 'ext4', grow: true, primary: true, bootable: true },
    ])
  })

  it('is refused when it stands on another file', async () => {
    const words = ['create', '-q', '-f', 'qcow2', '-b', makeImage(), '-F', 'raw', path('overlay.qcow2')]
    execFileSync('qemu-img', words)
    const error = await failureOf(install(await imageOf(path('overlay.qcow2'))))
    expect(error.message).toContain(`backing file "${path('golden.raw')}"`)
  })

  it('is refused when another file takes its place between its check and its use', async () => {
    const file = makeImage()
    copyFileSync(file, path('other.raw'))
    const swap = (text: string) => {
      if (text === 'writing the disk') renameSync(path('other.raw'), file)
    }
    const error = await failureOf(install(await imageOf(file), undefined, swap))
    expect(error.code).toBe('changed-meanwhile')
  })

  it('is refused when it is not what its checksum says, or not what was planned', async () => {
    const file = makeImage()
    const wrong = await failureOf(install(await imageOf(`${file}#sha256=${'0'.repeat(64)}`)))
    expect(wrong.code).toBe('base-image-corrupt')
    expect(wrong.message).toContain(sha256(readFileSync(file)))
    const other = await failureOf(install(await imageOf(file), 'sha256:another'))
    expect(other.code).toBe('changed-meanwhile')
  })
})

it('has its content in the key, or the checksum that it is written with', async () => {
  const partOf = async (source: string) =>
    (await installerOf({ installer: 'disk-image' }).keyParts(await imageOf(source))).parts.image
  writeFileSync(path('golden'), 'one')
  expect(await partOf(path('golden'))).toBe(`sha256:${sha256('one')}`)
  writeFileSync(path('golden'), 'two')
  utimesSync(path('golden'), 1, 1)
  expect(await partOf(path('golden'))).toBe(`sha256:${sha256('two')}`)
  const { sources } = await installerOf({ installer: 'disk-image' }).keyParts(await imageOf(path('golden')))
  expect(sources[0]?.text).not.toContain(process.cwd())
  const checksum = 'a'.repeat(128)
  expect(await partOf(`https://images.example.org/golden.qcow2#sha512=${checksum}`)).toBe(
    `sha512:${checksum}`,
  )
})

it('is refused before it is read when it is far larger than the disk', async () => {
  writeFileSync(path('huge.qcow2'), '')
  truncateSync(path('huge.qcow2'), 1024 ** 4)
  const { code, message } = await failureOf(install(await imageOf(path('huge.qcow2'))))
  expect(code).toBe('base-image-layout')
  expect(message).toContain('the file has 1.0 TiB; the limit is 138.6 MiB')
})

it('has a first stage that installs what all the others expect', async () => {
  writeFileSync(path('golden'), '')
  const image = withInstallerStages(await imageOf(path('golden')))
  expect(image.stages.map(({ name }) => name)).toEqual(['adopt_disk_image', 'first', 'second', 'third'])
  const { environment, script } = image.stages[0] as (typeof image.stages)[number]
  expect(environment.PACKAGES?.split(' ')).toEqual(
    expect.arrayContaining(['linux-image-amd64', 'nano', 'udev']),
  )
  expect(readFileSync(script, 'utf8')).toContain(join('/usr', 'sbin', 'policy-rc.d'))
  const other = await sampleImage(path())
  expect(withInstallerStages(other)).toBe(other)
})
