import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import pipeline from '../../../pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import { placePartitions } from '../../../src/disk/layout.ts'
import { bootstrapCommand } from '../../../src/installers/bootstrap/command.ts'
import { useFolder } from '../../support/folder.ts'
import { pathOfTools } from '../../support/path-of-tools.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const here = fileURLToPath(new URL('../../../src/installers/bootstrap/', import.meta.url))

/** A script that notes what it was called with. */
function fake(file: string, body = ''): void {
  writeFileSync(file, `#!/bin/sh\necho "\${0##*/} $*" >>${path('calls')}\n${body}\n`)
  chmodSync(file, 0o755)
}

const calls = () => readFileSync(path('calls'), 'utf8').trim().replaceAll(path('tree'), 'TREE').split('\n')

describe('programs of this host in a tree of another architecture', () => {
  const step = (word: string) =>
    execFileSync('sh', [`${here}cross.sh`, word], {
      env: { PATH: `${path('fakes')}:${pathOfTools}`, ROOT: path('tree'), DISK: path('disk'), LC_ALL: 'C' },
    })
  const listTree = () => readdirSync(path('tree'), { recursive: true }).map(String).sort()
  const inTree = (name: string) => readFileSync(path('tree', 'usr/bin', name), 'utf8')

  beforeEach(() => {
    mkdirSync(path('tree', 'usr/bin'), { recursive: true })
    mkdirSync(path('tree', 'usr/lib'))
    writeFileSync(path('tree', 'usr/lib/os-release'), '')
    mkdirSync(path('tree', 'etc/apt/apt.conf.d'), { recursive: true })
    mkdirSync(path('tree', 'etc/initramfs-tools/hooks'), { recursive: true })
    for (const name of ['cat', 'dash', 'perl', 'uname']) writeFileSync(path('tree', 'usr/bin', name), name)
    mkdirSync(path('tree', 'boot'))
    writeFileSync(path('tree', 'boot/vmlinuz-6.12.48+deb13-arm64'), '')
    mkdirSync(path('fakes'))
    fake(path('fakes', 'chroot'), 'echo "hello 1.0 ii"')
  })

  it('are there with their libraries, and a dpkg of which the search path of apt tells', () => {
    step('begin')
    const found = listTree()
    for (const name of ['bin/dpkg', 'bin/dpkg-deb', 'bin/tar', 'dpkg', 'same/cat', 'same/mawk'])
      expect(found).toContain(`.native/${name}`)
    expect(found.some((name) => /ld-linux/.test(name))).toBe(true)
    expect(found.some((name) => name.endsWith('/libc.so.6'))).toBe(true)
    expect(readFileSync(path('tree', 'etc/apt/apt.conf.d/99native'), 'utf8')).toMatch(
      /^DPkg::Path "\/\.native\/bin:/,
    )
  })

  it('take the place of what gives the same results, not of what tells of the machine', () => {
    step('begin')
    step('swap')
    for (const name of ['cat', 'dash', 'perl']) expect(inTree(name)).not.toBe(name)
    expect(inTree('perl')).toBe(readFileSync(`${here}cross-perl.sh`, 'utf8'))
    expect(inTree('uname')).toBe('uname')
  })

  it('leave the tree as it would be without them, with one initramfs made at the end', () => {
    const before = listTree()
    step('begin')
    step('swap')
    step('end')
    expect(listTree()).toEqual(before)
    for (const name of ['cat', 'dash', 'perl', 'uname']) expect(inTree(name)).toBe(name)
    expect(calls()).toEqual(['chroot TREE /usr/sbin/update-initramfs -c -k 6.12.48+deb13-arm64'])
  })

  it('make the initramfs without an environment that it would take over', () => {
    fake(path('fakes', 'chroot'), `env >${path('environment')}`)
    for (const word of ['begin', 'swap', 'end']) step(word)
    const names = readFileSync(path('environment'), 'utf8').match(/^\w+(?==)/gm) ?? []
    // The shell of the fake has its own.
    expect(names.filter((name) => !['PWD', '_', 'SHLVL'].includes(name)).sort()).toEqual(['LC_ALL', 'PATH'])
  })

  it('keep their loader when a package takes the link to it away', () => {
    const before = listTree()
    step('begin')
    expect(readlinkSync(path('tree', 'lib64'))).toBe('usr/lib64')
    rmSync(path('tree', 'lib64'))
    step('swap')
    expect(readlinkSync(path('tree', 'lib64'))).toBe('usr/lib64')
    step('end')
    expect(listTree()).toEqual(before)
  })

  it('leave alone what a package has put there in the meantime', () => {
    step('begin')
    step('swap')
    writeFileSync(path('tree', 'usr/bin/cat'), 'a newer cat')
    step('end')
    expect(inTree('cat')).toBe('a newer cat')
  })

  it('are not in the initramfs, or layer 0 fails', () => {
    step('begin')
    step('swap')
    fake(path('fakes', 'chroot'), `echo cat >>${path('tree', '.native/leaked')}`)
    expect(() => step('end')).toThrow("cross: this host's programs are in the initramfs: cat")
  })

  it("are not asked for the list of packages, which has the tree's own names for them", () => {
    step('list')
    expect(readFileSync(path('disk.packages'), 'utf8')).toBe('hello 1.0 ii\n')
  })
})

describe('dpkg in such a tree', () => {
  const run = (...words: readonly string[]) => {
    const text = readFileSync(`${here}cross-dpkg.sh`, 'utf8')
    const moved = text
      .replaceAll('/.native/dpkg', path('host-dpkg'))
      .replaceAll('/usr/bin/dpkg', path('own-dpkg'))
    writeFileSync(path('dpkg'), moved)
    for (const name of ['host-dpkg', 'own-dpkg']) fake(path(name))
    execFileSync('sh', [path('dpkg'), ...words])
    return calls()
  }
  const forced = '--force-unsafe-io --force-architecture --force-depends'

  it("unpacks by the host's", () => {
    const words = ['--status-fd', '31', '--no-triggers', '--unpack', '--recursive', '/tmp/a b']
    expect(run(...words)).toEqual([`host-dpkg ${forced} ${words.join(' ')}`])
  })

  it("configures by the tree's", () => {
    expect(run('--status-fd', '31', '--configure', '--pending')).toEqual([
      'own-dpkg --status-fd 31 --configure --pending',
    ])
  })

  it("installs the essential packages by the host's, and then by the tree's", () => {
    expect(run('--install', '--force-depends', '--status-fd=7', '/a.deb', '/b.deb')).toEqual([
      `host-dpkg ${forced} --unpack --force-depends --status-fd=7 /a.deb /b.deb`,
      'own-dpkg --force-unsafe-io --force-depends --status-fd=7 --configure --pending',
    ])
  })

  it("compares versions by the host's, and says what the architecture is by the tree's", () => {
    expect(run('--compare-versions', '1', 'lt', '2')).toEqual(['host-dpkg --compare-versions 1 lt 2'])
    expect(run('--print-architecture').at(-1)).toBe('own-dpkg --print-architecture')
  })
})

describeWith(['mkfs.vfat', 'blkid'], 'an EFI system partition', () => {
  const make = () => {
    writeFileSync(path('disk'), Buffer.alloc(70 * 1024 ** 2))
    execFileSync('sh', [`${here}make-esp.sh`], {
      env: { PATH: pathOfTools, DISK: path('disk'), ESP: `${1024 ** 2} ${64 * 1024 ** 2} 1A2BC3D4` },
    })
    return readFileSync(path('disk'))
  }

  it('is a FAT32 in its place, with the serial number of the fstab, and the same bytes again', () => {
    const disk = make()
    writeFileSync(path('partition'), disk.subarray(1024 ** 2, 65 * 1024 ** 2))
    const found = execFileSync('blkid', ['-p', '-o', 'export', path('partition')], {
      encoding: 'utf8',
      env: { PATH: pathOfTools },
    })
    expect(found).toContain('TYPE=vfat')
    expect(found).toContain('VERSION=FAT32')
    expect(found).toContain('UUID=1A2B-C3D4')
    expect(disk.subarray(0, 1024 ** 2).every((byte) => byte === 0)).toBe(true)
    expect(existsSync(path('disk.esp'))).toBe(false)
    cpSync(path('disk'), path('first'))
    expect(make().equals(readFileSync(path('first')))).toBe(true)
  })
})

describe('the command of mmdebstrap', async () => {
  const { images } = await resolvePipeline(pipeline)
  const words = (variant: string, isCross: boolean) => {
    const image = images.find((one) => one.variant === variant)
    if (image === undefined) throw new Error(`there is no ${variant}`)
    const paths = { scripts: 'scripts', packageCache: 'packages', disk: 'disk.raw' }
    return bootstrapCommand(image, placePartitions(image.disk, 'x'), paths, isCross)
  }
  const hooks = ({ words: all }: ReturnType<typeof words>) =>
    all.flatMap((word) => {
      const [, kind, script, rest] =
        /^--(\w+)-hook=ROOT="\$1" sh '?scripts\/([^']*?)'?( .*)?$/.exec(word) ?? []
      return kind === undefined ? [] : [`${kind} ${script}${rest ?? ''}`]
    })

  it('makes the EFI system partition of an image for ARM, on any host', () => {
    expect(hooks(words('trixie-aarch64', false))).toEqual([
      'setup prepare.sh',
      'customize customize.sh',
      'customize make-disk.sh',
      'customize make-esp.sh',
    ])
    const { environment } = words('trixie-aarch64', false)
    expect(environment.ESP).toMatch(/^1048576 67108864 [0-9A-F]{8}$/)
    expect(environment.PARTITIONS).not.toContain('vfat')
    expect(hooks(words('trixie-x86_64', false))).toEqual([
      'setup prepare.sh',
      'customize customize.sh',
      'customize make-disk.sh',
    ])
  })

  it("puts this host's programs in before the first package, and takes them out before the disk is made", () => {
    const cross = words('trixie-aarch64', true)
    expect(hooks(cross)).toEqual([
      'setup prepare.sh',
      'setup cross.sh begin',
      'essential cross.sh swap',
      'customize cross.sh end',
      'customize customize.sh',
      'customize make-disk.sh',
      'customize make-esp.sh',
      'customize cross.sh list',
    ])
    expect(cross.environment.PATH).toMatch(/^\/\.native\/bin:/)
  })
})
