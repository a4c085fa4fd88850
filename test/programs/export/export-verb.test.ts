import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { delimiter } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { nearestSizesMiB } from '../../../src/export/export-disk.ts'
import { geometryBytes, geometryOf } from '../../../src/formats/vhd-format.ts'
import { takeLock } from '../../../src/host/lock.ts'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const program = fileURLToPath(new URL('../../../bin/systemvm-image.js', import.meta.url))
const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

const qemu = (command: string, ...words: string[]) => execFileSync(command, words, { stdio: 'pipe' })

/** A qcow2 with some data, of a size that every target holds unless told otherwise. */
function makeDisk(size = '252M', name = 'disk.qcow2'): string {
  qemu('qemu-img', 'create', '-q', '-f', 'qcow2', path(name), size)
  if (size !== '0') qemu('qemu-io', '-c', 'write -q -P 0x41 0 512k', path(name))
  return path(name)
}

const exportFrom = (disk: string, ...words: string[]) =>
  runHere('export', '--from', disk, '--out', path('out'), ...words)

/** A program that is found before the real one. `$real` in its script is the real one. */
function fake(name: string, script: string): void {
  mkdirSync(path('bin'), { recursive: true })
  const real = execFileSync('sh', ['-c', `command -v ${name} || echo false`], { encoding: 'utf8' }).trim()
  writeFileSync(path('bin', name), `#!/bin/sh\nreal=${real}\n${script}\n`)
  chmodSync(path('bin', name), 0o755)
  vi.stubEnv('PATH', `${path('bin')}${delimiter}${process.env.PATH}`)
}

const chained = '--with-backing-files'
const left = () => (existsSync(path('out')) ? readdirSync(path('out')).sort() : [])

async function expectRefusal(ended: ReturnType<typeof exportFrom>, exitCode: number, ...said: string[]) {
  const found = await ended
  for (const text of said) expect(found.stderr).toContain(text)
  expect(found.stderr).not.toMatch(/^\s+at |this is a bug/m)
  expect(found.exitCode).toBe(exitCode)
  return found
}

describe('options of an export', () => {
  it.each([
    ['an empty name', ['--name', ''], '--name <name> is empty', 'give it a value, or leave it out'],
    [
      'a date in the future',
      ['--date', '2100-01-01'],
      'date: is in the future',
      'found "2100-01-01" (--date)',
    ],
    ['a name with a slash', ['--name', 'a/b'], 'name: must be a file name', 'found "a/b" (--name)'],
    ['a name that begins with a dot', ['--name', '.a'], 'name: must be a file name', '(--name)'],
    ['a name with a line break', ['--name', 'a\nb'], 'name: must be a file name', '(--name)'],
    [
      'a name with another kind of line break',
      ['--name', 'a\u2028b'],
      'name: must be a file name',
      '(--name)',
    ],
    ['a name that no XML can have', ['--name', 'a\uFFFEb'], 'name: must be a file name', '(--name)'],
    ['a long name', ['--name', 'n'.repeat(81)], 'name: must be at most 80', '(--name)'],
    ['a name of long characters', ['--name', 'ü'.repeat(41)], 'name: must be at most 80', '(--name)'],
    ['a date that is none', ['--date', 'today'], 'date: must be a date like 2026-11-01', '(--date)'],
    ['a date before zip files', ['--date', '1979-12-31'], 'date: must be from 1980-01-01', '(--date)'],
    ['a date after tars', ['--date', '2242-03-17'], 'date: must be from 1980-01-01', '(--date)'],
    [
      'a hardware version that no ESXi has',
      ['--set', 'formats.vmware.hardwareVersion=99'],
      'formats.vmware.hardwareVersion: must be one that some ESXi has',
      'found 99 (--set formats.vmware.hardwareVersion)',
    ],
  ])('that give %s are refused', async (_case, words, ...said) => {
    await expectRefusal(exportFrom(path('none.raw'), ...words), 2, ...said)
    expect(left()).toEqual([])
  })

  it.each(['a"b', 'fat:x', 'a\\\\b'])(
    'that give the name %s, which no OVA can have, are refused',
    async (name) => {
      const words = ['--name', name, '--targets', 'kvm,vmware']
      await expectRefusal(
        exportFrom(path('none.raw'), ...words),
        2,
        'name: must not contain any of',
        '(--name)',
      )
      expect(left()).toEqual([])
    },
  )

  it('that lead to a bad name of the disk say how to give another one', async () => {
    await expectRefusal(exportFrom(path('.hidden.raw')), 2, 'found ".hidden"', 'give another with --name')
  })
})

describeWith(['qemu-img', 'qemu-io'], 'an export of any disk', () => {
  it('takes rules of VMware for what they are: of VMware alone, and with EFI on trust', async () => {
    const disk = makeDisk()
    const old = ['--set', 'formats.vmware.hardwareVersion=99']
    expect((await exportFrom(disk, '--targets', 'kvm', ...old)).exitCode).toBe(0)
    const efi = ['--set', 'formats.vmware.firmware=efi']
    expect((await exportFrom(disk, '--targets', 'vmware', ...efi)).exitCode).toBe(0)
  })

  it('refuses a folder where others can replace files, and takes one where they only have their own', async () => {
    const disk = makeDisk()
    mkdirSync(path('out'))
    chmodSync(path('out'), 0o777)
    const words = ['--targets', 'kvm']
    await expectRefusal(exportFrom(disk, ...words), 3, 'everyone on this host can replace files', 'chmod o-w')
    expect(left()).toEqual([])
    chmodSync(path('out'), 0o1777)
    expect((await exportFrom(disk, ...words)).exitCode).toBe(0)
  })

  // Skipped unless run by root: nobody else may give a folder away.
  it.skipIf(process.getuid?.() !== 0)(
    'removes nothing that someone else has made in its work folder’s place (skipped unless run by root)',
    async () => {
      const disk = makeDisk()
      mkdirSync(path('out', '.systemvm-image.unfinished', 'theirs'), { recursive: true })
      chmodSync(path('out'), 0o1777)
      chownSync(path('out', '.systemvm-image.unfinished'), 4_000_001, 0)
      await expectRefusal(exportFrom(disk, '--targets', 'kvm'), 3, 'belongs to another user')
      expect(left()).toEqual(['.systemvm-image.unfinished'])
    },
  )

  it('refuses a disk that is cut short, and writes nothing', async () => {
    const disk = makeDisk()
    truncateSync(disk, 300)
    await expectRefusal(exportFrom(disk), 2, disk, 'damaged or truncated', 'errors were found')
    expect(left()).toEqual([])
  })

  it('refuses one that stands on a disk that is cut short', async () => {
    const base = makeDisk('252M', 'base.qcow2')
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path('disk.qcow2'))
    truncateSync(base, 300)
    await expectRefusal(exportFrom(path('disk.qcow2'), chained), 2, base, 'damaged or truncated')
  })

  it('refuses one that stands on nothing', async () => {
    const base = makeDisk('252M', 'base.qcow2')
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path('disk.qcow2'))
    rmSync(base)
    await expectRefusal(exportFrom(path('disk.qcow2'), chained), 2, 'cannot read the disk', base)
    expect(left()).toEqual([])
  })

  it.each([
    ['a folder', () => mkdirSync(path('disk')), path('disk')],
    ['a named pipe', () => qemu('mkfifo', path('disk')), path('disk')],
    ['a character device', () => undefined, '/dev/zero'],
  ])('refuses %s as a disk, before it waits for its first byte', async (kind, make) => {
    make()
    const disk = kind === 'a character device' ? '/dev/zero' : path('disk')
    await expectRefusal(exportFrom(disk), 2, `cannot read the disk ${disk}: it is ${kind}, not a file`)
    await expectRefusal(
      exportFrom(path('none')),
      2,
      `cannot read the disk ${path('none')}: it does not exist (ENOENT)`,
    )
    expect(left()).toEqual([])
  })

  it('gives disks identifiers by their content, in one file or in several', async () => {
    const identifierOf = async (disk: string, ...words: string[]) => {
      expect(
        (await exportFrom(disk, chained, ...words, '--targets', 'xenserver', '--name', 'x')).exitCode,
      ).toBe(0)
      // The footer's UUID.
      return readFileSync(path('out', 'x-xen.vhd')).subarray(68, 84).toString('hex')
    }
    const base = makeDisk('252M', 'base.qcow2')
    const top = path('top.qcow2')
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', top)
    const stacked = await identifierOf(top)
    qemu('qemu-img', 'convert', '-O', 'raw', top, path('flat.raw'))
    expect(await identifierOf(path('flat.raw'), '--raw')).toBe(stacked)
    qemu('qemu-img', 'convert', '-O', 'raw', '-S', '0', top, path('full.raw'))
    expect(await identifierOf(path('full.raw'), '--raw')).toBe(stacked)
    qemu('qemu-io', '-c', 'write -q -P 0x42 8M 512', base)
    expect(await identifierOf(top)).not.toBe(stacked)
  })

  it('takes formats that qemu-img has no check for', async () => {
    qemu('qemu-img', 'create', '-q', '-f', 'raw', path('disk.raw'), '1M')
    expect((await exportFrom(path('disk.raw'), '--raw', '--targets', 'kvm')).exitCode).toBe(0)
  })

  it('refuses a disk without bytes', async () => {
    await expectRefusal(exportFrom(makeDisk('0')), 2, 'has no bytes')
  })

  it('says before it begins which sizes the files can express', async () => {
    const disk = makeDisk('500M')
    const { stderr } = await expectRefusal(exportFrom(disk), 2, '524288000 bytes (500 MiB)', '--targets')
    expect(stderr).toContain('the files for xenserver and hyperv cannot')
    const sizes = [...stderr.matchAll(/(\d+) MiB(?= and|:)/g)].map((match) => Number(match[1]))
    expect(sizes).toHaveLength(2)
    expect(left()).toEqual([])
    for (const size of sizes) {
      const fitting = makeDisk(`${size}M`, `${size}.qcow2`)
      expect((await exportFrom(fitting, '--targets', 'xenserver,hyperv')).exitCode).toBe(0)
    }
    expect((await exportFrom(disk, '--targets', 'kvm,raw')).exitCode).toBe(0)
  })

  it('advises to shrink no disk that is larger than any file, and rounds no odd bytes away', async () => {
    const large = makeDisk('8T', 'large.qcow2')
    const { stderr } = await expectRefusal(exportFrom(large, '--targets', 'hyperv'), 2, '2 TiB')
    expect(stderr).not.toContain('qemu-img resize')
    const odd = makeDisk(`${252 * 1024 ** 2 + 512}`, 'odd.qcow2')
    await expectRefusal(exportFrom(odd, '--targets', 'hyperv'), 2, '(252 MiB and 512 bytes)')
  })

  it('is told that the folder is none, or none to write in', async () => {
    const disk = makeDisk()
    writeFileSync(path('out'), 'mine')
    await expectRefusal(exportFrom(disk), 3, `cannot write in the output folder ${path('out')}`, '--out')
    expect(readFileSync(path('out'), 'utf8')).toBe('mine')
  })

  it('tells the size that the file has, and the one size that is near', async () => {
    writeFileSync(path('disk.raw'), 'not even a sector')
    truncateSync(path('disk.raw'), 1_000_001)
    const words = ['--raw', '--targets', 'vmware']
    await expectRefusal(
      exportFrom(path('disk.raw'), ...words),
      2,
      '1000001 bytes',
      'the nearest size that fits is 2 MiB',
    )
  })

  it('has its folder for itself: another is refused, or waits', async () => {
    const disk = makeDisk()
    mkdirSync(path('out'))
    const lock = await takeLock(path('out'), 'export of another', undefined, 'export')
    const words = ['--targets', 'kvm']
    await expectRefusal(
      exportFrom(disk, ...words),
      3,
      `another export is using ${path('out')}: process`,
      '--wait',
    )
    expect(left()).toEqual(['.systemvm-image.lock'])
    const waits = exportFrom(disk, ...words, '--wait')
    const said = () => vi.mocked(process.stderr.write).mock.calls.join('')
    await expect.poll(said).toContain('waiting for process')
    expect(left()).not.toContain('.systemvm-image.unfinished')
    await lock.release()
    expect(await waits).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('waiting for process') })
    expect(left()).toEqual(['disk-kvm.qcow2', 'md5sum.txt', 'sha256sum.txt', 'sha512sum.txt'])
  })

  it('does not write over a disk that it is made of, whichever of its files that is', async () => {
    makeDisk()
    mkdirSync(path('out'))
    const base = path('out', 'x-ovm.raw')
    qemu('qemu-img', 'convert', '-O', 'raw', path('disk.qcow2'), base)
    const before = readFileSync(base)
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'raw', path('top.qcow2'))
    for (const disk of [base, path('top.qcow2')]) {
      const words = [chained, '--raw', '--name', 'x', '--targets', 'raw']
      await expectRefusal(exportFrom(disk, ...words), 2, `${base} would overwrite ${base}`)
    }
    const within = path('out', '.systemvm-image.unfinished')
    mkdirSync(within)
    renameSync(base, `${within}/disk.raw`)
    await expectRefusal(exportFrom(`${within}/disk.raw`, '--raw', '--targets', 'kvm'), 2, 'would overwrite')
    expect(readFileSync(`${within}/disk.raw`).equals(before)).toBe(true)
  })

  it('takes what a killed one has left for rubbish', async () => {
    const disk = makeDisk()
    mkdirSync(path('out', '.systemvm-image.unfinished'), { recursive: true })
    writeFileSync(path('out', '.systemvm-image.unfinished', 'other-kvm.qcow2'), 'half')
    expect((await exportFrom(disk, '--targets', 'kvm')).exitCode).toBe(0)
    expect(left()).toEqual(['disk-kvm.qcow2', 'md5sum.txt', 'sha256sum.txt', 'sha512sum.txt'])
  })

  it('reads its own files for every hypervisor again as the disk that is in them', async () => {
    const disk = makeDisk()
    const words = ['--targets', 'hyperv,vmware', '--set', 'formats.hyperv.subformat=fixed']
    expect((await exportFrom(disk, ...words)).exitCode).toBe(0)
    for (const file of ['disk-hyperv.vhd', 'disk-vmware.ova']) {
      expect((await exportFrom(path('out', file), '--targets', 'raw', '--name', 'again')).exitCode).toBe(0)
      qemu('qemu-img', 'compare', '-q', '-f', 'qcow2', '-F', 'raw', disk, path('out', 'again-ovm.raw'))
    }
  })

  it('asks of a raw disk that it does not pretend to be another', async () => {
    renameSync(makeDisk(), path('disk.raw'))
    await expectRefusal(exportFrom(path('disk.raw')), 2, 'says raw, but it begins like a qcow2')
  })

  it.each([
    ['bz2', ['bzip2', '-k']],
    ['gz', ['gzip', '-k']],
    ['xz', ['xz', '-k']],
    ['zst', ['zstd', '-q']],
  ])('unpacks a disk that comes as .%s', async (ending, [program = '', ...words]) => {
    const disk = makeDisk()
    qemu(program, ...words, disk)
    expect((await exportFrom(`${disk}.${ending}`, '--targets', 'raw')).exitCode).toBe(0)
    qemu('qemu-img', 'compare', '-q', '-f', 'qcow2', '-F', 'raw', disk, path('out', 'disk-ovm.raw'))
  })

  it('takes no half of an archive, and no archive of two disks', async () => {
    const disk = makeDisk()
    qemu('bzip2', '-k', disk)
    truncateSync(`${disk}.bz2`, 200)
    await expectRefusal(exportFrom(`${disk}.bz2`), 2, `cannot unpack ${disk}.bz2`)
    const zip =
      "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z: [z.write(n) for n in sys.argv[2:]]"
    qemu('python3', '-c', zip, path('two.zip'), disk, `${disk}.bz2`)
    await expectRefusal(exportFrom(path('two.zip')), 2, 'it has 2 files in it instead of one disk')
    truncateSync(path('two.zip'), 1000)
    await expectRefusal(exportFrom(path('two.zip')), 2, 'damaged or truncated')
    expect(left()).toEqual([])
  })

  it.each([
    ['a text', 'notes.txt', 'just a text\n'.repeat(100)],
    ['a script', 'disk.sh', '#!/bin/sh\nexit 0\n'],
    ['a text with the name of a disk', 'disk.raw', 'just a text\n'.repeat(100)],
    ['zeros', 'disk.img', '\0'.repeat(1024 ** 2)],
  ])('takes %s for a disk only on request', async (_case, name, text) => {
    writeFileSync(path(name), text)
    await expectRefusal(exportFrom(path(name), '--targets', 'kvm'), 2, 'neither a partition table', '--raw')
    expect(left()).toEqual([])
    expect((await exportFrom(path(name), '--raw', '--targets', 'kvm')).exitCode).toBe(0)
  })

  it('does not take the footer of a fixed VHD for a part of the disk, whatever the file is called', async () => {
    const disk = makeDisk()
    qemu('qemu-img', 'convert', '-O', 'vpc', '-o', 'subformat=fixed,force_size=on', disk, path('disk.img'))
    expect((await exportFrom(path('disk.img'), '--targets', 'raw')).exitCode).toBe(0)
    qemu('qemu-img', 'compare', '-q', '-f', 'qcow2', '-F', 'raw', disk, path('out', 'disk-ovm.raw'))
  })

  it('says of an encrypted disk that it is one', async () => {
    const secret = ['--object', 'secret,id=key,data=secret']
    const words = ['-o', 'encrypt.format=aes,encrypt.key-secret=key']
    qemu('qemu-img', 'create', '-q', ...secret, '-f', 'qcow2', ...words, path('disk.qcow2'), '252M')
    await expectRefusal(exportFrom(path('disk.qcow2')), 2, 'is encrypted; export a copy')
  })

  it('refuses a disk that is written to while it is read, whichever of its files that is', async () => {
    const base = makeDisk('252M', 'base.qcow2')
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', path('disk.qcow2'))
    fake('qemu-img', `"$real" "$@"; status=$?; case $1 in convert) touch ${base} ;; esac; exit $status`)
    const said = `the disk ${path('disk.qcow2')}, or a backing file of it, was written to`
    await expectRefusal(exportFrom(path('disk.qcow2'), chained), 2, said, 'export a copy')
    expect(left()).toEqual([])
  })

  it.each([
    ['after it was inspected', false],
    ['while it is read, and no longer afterwards', true],
  ])('reads no file that a disk refers to only %s', async (_when, isConvert) => {
    const disk = makeDisk()
    cpSync(disk, path('good'))
    writeFileSync(path('secret'), 'a secret')
    truncateSync(path('secret'), 252 * 2 ** 20)
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', path('secret'), '-F', 'raw', path('evil'))
    const put = (file: string) => `cat ${path(file)} >${disk}; touch -r ${path('good')} ${disk}`
    utimesSync(path('good'), 1, 1)
    utimesSync(disk, 1, 1)
    fake(
      'qemu-img',
      isConvert
        ? `case $1 in convert) ${put('evil')} ;; esac; "$real" "$@"; status=$?; case $1 in convert) ${put('good')} ;; esac; exit $status`
        : `"$real" "$@"; status=$?; case $1 in check) ${put('evil')} ;; esac; exit $status`,
    )
    const said = `the disk ${disk}, or a backing file of it, was written to`
    await expectRefusal(exportFrom(disk, '--targets', 'raw'), 2, said)
    expect(left()).toEqual([])
  })

  it('that finds no room for the flat copy says so, and leaves nothing', async () => {
    const disk = makeDisk()
    const full = 'for last; do :; done; : >"$last"; echo "qemu-img: No space left on device" >&2; exit 1'
    fake('qemu-img', `case $1 in convert) ${full} ;; esac\nexec "$real" "$@"`)
    await expectRefusal(exportFrom(disk), 1, 'its disk is full', 'free some space there')
    expect(left()).toEqual([])
  })

  it('leaves what is finished, with its checksums, when another target fails', async () => {
    const disk = makeDisk()
    fake('lbzip2', 'echo "lbzip2: out of luck" >&2; exit 1')
    const words = ['--targets', 'kvm,raw', '--set', 'formats.raw.archive=bz2']
    await expectRefusal(
      exportFrom(disk, ...words),
      1,
      'disk-ovm.raw.bz2 could not be made: lbzip2: out of luck',
    )
    expect(left()).toEqual(['disk-kvm.qcow2', 'md5sum.txt', 'sha256sum.txt', 'sha512sum.txt'])
    execFileSync('sha256sum', ['--check', '--strict', '--status', 'sha256sum.txt'], { cwd: path('out') })
  })

  it('makes the same bytes of each file, whichever others are made beside it', async () => {
    const disk = makeDisk()
    const checksums = async (targets: string) => {
      rmSync(path('out'), { recursive: true, force: true })
      expect((await exportFrom(disk, '--targets', targets)).exitCode).toBe(0)
      const lines = readFileSync(path('out', 'sha256sum.txt'), 'utf8').trimEnd().split('\n')
      return Object.fromEntries(lines.map((line) => line.split('  ').reverse() as [string, string]))
    }
    const alone = { ...(await checksums('kvm')), ...(await checksums('vmware')), ...(await checksums('raw')) }
    expect(Object.keys(alone)).toHaveLength(3)
    expect(await checksums('vmware,raw,kvm,xenserver,hyperv')).toMatchObject(alone)
  })

  it.each([
    ['kvm', 'disk-kvm.qcow2', 'disk-vmware.ova'],
    ['vmware', 'disk-vmware.ova', 'disk-kvm.qcow2'],
  ])('leaves the other file of the same grains when %s fails', async (_target, failing, other) => {
    const disk = makeDisk()
    // The work folder is made anew, so nothing can stand in it beforehand.
    fake(
      'qemu-img',
      `case "$*" in *compare*${failing}*) echo "No space left on device" >&2; exit 1 ;; esac\nexec "$real" "$@"`,
    )
    const targets = ['--targets', 'kvm,vmware']
    await expectRefusal(exportFrom(disk, ...targets), 1, `${failing} could not be made: its disk is full`)
    expect(left()).toEqual([other, 'md5sum.txt', 'sha256sum.txt', 'sha512sum.txt'])
  })

  it('that cannot list its checksums says so', async () => {
    const disk = makeDisk()
    mkdirSync(path('out', 'md5sum.txt'), { recursive: true })
    const words = ['--targets', 'kvm']
    const said = `the list of checksums with ${path('out', 'disk-kvm.qcow2')} could not be made`
    await expectRefusal(exportFrom(disk, ...words), 1, said, 'fix that and run the command again')
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'that gets %s ends with 130 and leaves nothing',
    async (name) => {
      const disk = makeDisk()
      const wait = 'for last; do :; done; : >"$last"; exec sleep 30'
      fake('qemu-img', `case $1 in convert) ${wait} ;; esac\nexec "$real" "$@"`)
      const words = [program, 'export', '--from', disk, '--out', path('out')]
      const child = spawn(process.execPath, words, { stdio: 'pipe', timeout: 300_000 })
      let stderr = ''
      child.stderr.on('data', (chunk) => {
        stderr += chunk
      })
      const ended = once(child, 'close')
      while (!left().includes('.systemvm-image.unfinished') && child.exitCode === null) await sleep(20)
      expect(left()).toEqual(['.systemvm-image.lock', '.systemvm-image.unfinished'])
      child.kill(name)
      expect(await ended).toEqual([130, null])
      expect(stderr).not.toContain('this is a bug')
      expect(left()).toEqual([])
    },
  )
})

describe('the sizes that fit', () => {
  const mib = 1024 ** 2
  const sizes = async (sizeBytes: number, ...targets: ('xenserver' | 'vmware' | 'kvm')[]) => {
    const { formats } = await sampleImage(path())
    return nearestSizesMiB({ targets, formats }, sizeBytes)
  }

  it('are one below and one above, each exact', async () => {
    for (const size of [500 * mib, 5000 * mib, 40_000 * mib + 512]) {
      const [below = 0, above = 0, ...more] = await sizes(size, 'xenserver', 'kvm')
      expect(more).toEqual([])
      expect(below * mib).toBeLessThan(size)
      expect(above * mib).toBeGreaterThan(size)
      for (const near of [below, above]) expect(geometryBytes(geometryOf(near * mib))).toBe(near * mib)
    }
  })

  it('are one for a disk that is too large for any', async () => {
    expect(await sizes(2 ** 50, 'xenserver')).toHaveLength(1)
  })

  it('are those of whole grains for an OVA', async () => {
    expect(await sizes(5 * mib + 512, 'vmware')).toEqual([4, 6])
  })
})
