/** Two ways to run the program, as different from each other as one host allows. */

import { existsSync } from 'node:fs'
import { chmod, mkdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { sha256File } from '../../src/host/hash-file.ts'
import { program, readReport } from '../e2e/program.ts'

const isRoot = process.getuid?.() === 0

export interface Way {
  readonly outFolder: string
  readonly umask: string
  readonly env: Readonly<Record<string, string>>
  /** Words before the program's own. */
  readonly prefix: readonly string[]
  /** Options that must not change the result. */
  readonly options: readonly string[]
}

export function plainWay(folder: string): Way {
  return {
    outFolder: join(folder, 'one'),
    umask: '022',
    env: { TZ: 'UTC', LANG: 'C.UTF-8' },
    prefix: [],
    options: [],
  }
}

export interface StrangeWay extends Way {
  /** To be called when nothing in its folder is needed anymore. */
  readonly end: () => Promise<void>
}

/** What is different in the strange way on this host, for titles of tests. */
export const strangeness = [
  'folder, language, time zone, umask and machine',
  ...(hasLaterClock() ? ['day'] : []),
  ...(canReorder() ? ['order of directory entries'] : []),
  ...(otherUser() === undefined ? [] : ['user']),
  ...(otherPacker() === undefined ? [] : ['Packer']),
].join(', ')

/**
 * Another path, umask, home, time zone and language, with one processor and less memory. Root also gets directory entries in
 * another order and, if the host has libfaketime, a clock that is three days fast. SYSTEMVM_TEST_USER names the user who builds,
 * SYSTEMVM_TEST_PACKER a folder with another `packer` and, in `plugins`, its plugins.
 */
export async function strangeWay(folder: string): Promise<StrangeWay> {
  const place = join(folder, 'another folder')
  const home = join(place, 'home')
  await mkdir(place)
  if (canReorder()) await mountReordered(join(folder, 'filesystem'), place)
  await mkdir(join(home, 'tmp'), { recursive: true })
  const user = otherUser()
  if (user !== undefined) {
    await chmod(folder, 0o755)
    await execa('chown', ['--recursive', `${user}:`, place])
  }
  return {
    outFolder: join(place, 'out with a longer name'),
    umask: '077',
    env: {
      ...{ TZ: 'Pacific/Kiritimati', LANG: 'tr_TR.UTF-8', LC_ALL: 'tr_TR.UTF-8' },
      // What mkinitramfs would take from the environment.
      ...{ ROOT: '/dev/sdb1', COMPRESS: 'gzip' },
      ...packerIn(otherPacker()),
    },
    prefix: [
      ...(hasLaterClock() ? withoutSharedMemory : []),
      ...(user === undefined ? [] : ['runuser', '-u', user, '--']),
      ...['taskset', '--cpu-list', '0', 'env', `HOME=${home}`, `TMPDIR=${join(home, 'tmp')}`],
      ...(hasLaterClock() ? laterClock : []),
    ],
    options: ['--set', 'machine.cpus=1', '--set', 'machine.memoryMiB=900'],
    end: async () => {
      if (canReorder()) await execa('umount', ['--lazy', place])
    },
  }
}

function canReorder(): boolean {
  return isRoot && existsSync('/dev/loop-control')
}

/**
 * Without an index, ext4 lists a directory's entries in the order of their creation, instead of by hashes of their names.
 * disorderfs would list them at random, but with Linux 6.18 large writes through it lose pages.
 */
async function mountReordered(file: string, place: string): Promise<void> {
  await writeFile(file, '')
  await truncate(file, 24 * 2 ** 30)
  await execa('mke2fs', ['-q', '-t', 'ext4', '-O', '^dir_index,^has_journal', '-m', '0', '--', file])
  await execa('mount', ['--options', 'loop', file, place])
}

function hasLaterClock(): boolean {
  return isRoot && existsSync('/usr/bin/faketime')
}

/** Programs on this host see it, and through QEMU the guest; in a chroot, the library is missing. */
const laterClock = [
  'LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1',
  ...['FAKETIME=+3d', 'FAKETIME_DONT_FAKE_MONOTONIC=1'],
]

/**
 * libfaketime shares memory among processes under names made of their PIDs, and ends a process that cannot open it, in another
 * PID namespace or as another user. Where it cannot create any, it works without.
 */
const withoutSharedMemory = [
  ...['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs -o ro tmpfs /dev/shm && exec "$@"', 'sh'],
]

function otherUser(): string | undefined {
  return process.env.SYSTEMVM_TEST_USER || undefined
}

function otherPacker(): string | undefined {
  return process.env.SYSTEMVM_TEST_PACKER || undefined
}

function packerIn(packerFolder: string | undefined): Way['env'] {
  if (packerFolder === undefined) return {}
  return {
    PATH: `${packerFolder}:${process.env.PATH}`,
    PACKER_PLUGIN_PATH: join(packerFolder, 'plugins'),
  }
}

/** The same without access to any server: root has no network at all, anyone else has a proxy that refuses. */
export function withoutNetwork(way: Way): Way {
  if (!isRoot) return { ...way, env: { ...way.env, http_proxy: 'http://127.0.0.1:9' } }
  const alone = ['unshare', '--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  return { ...way, prefix: [...alone, ...way.prefix] }
}

/** Runs the program with a time limit; a non-zero exit is a result, not an error. */
export async function runIn({ outFolder, umask, env, prefix, options }: Way, words: readonly string[]) {
  const command = [...prefix, process.execPath, program, ...words, '--out', outFolder, ...options]
  return execa('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...command], {
    reject: false,
    timeout: 3_600_000,
    env: { CI: '1', ...env },
  })
}

/** The sha256 of each image of the last run, by its path in the output folder. */
export async function sumsIn({
  outFolder,
}: Pick<Way, 'outFolder'>): Promise<Readonly<Record<string, string>>> {
  const { images } = await readReport(outFolder)
  const sums = images.map(async ({ path }) => [path, await sha256File(join(outFolder, path))] as const)
  return Object.fromEntries(await Promise.all(sums))
}
