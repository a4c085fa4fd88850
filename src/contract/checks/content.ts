/** Checks the content of the disk: partitions, boot loader, CloudStack's files. Boots nothing. */

import { createHash } from 'node:crypto'
import { archs, type TableKind } from '../../arch.ts'
import { type ImageFiles, namesIn, type PartitionFacts, readText } from '../../disk/image-files.ts'
import { espMount } from '../../disk/layout.ts'
import { type ContentCheck, failed, judge, passed, skipped } from '../check.ts'

const layout: ContentCheck = {
  id: 'A4',
  group: 'file',
  at: 'content',
  does: 'reads the partition table and the fstab',
  run: async ({ files, expected }) => {
    const { partitions, partitionTable } = files
    const { table } = archs[expected.arch]
    const faults = partitionTable === tableNames[table] ? [] : [`the table is ${partitionTable}`]
    const found = partitions.map((partition) => `${partition.number}: ${describe(partition)}`)
    const seen = partitions.map(({ filesystem, mount }) => `${filesystem} ${mount ?? 'swap'}`)
    const wanted =
      expected.partitions?.map(({ mount, filesystem }) => `${filesystem} ${mount ?? 'swap'}`) ??
      usualPartitions(table, seen.includes(esp))
    if (seen.join() !== wanted.join()) faults.push(`expected ${wanted.join(', ')}`)
    const last = [...partitions].sort((a, b) => a.startSector - b.startSector).at(-1)
    if (last?.mount !== '/') faults.push(`the last partition is ${last?.mount ?? 'not mounted'}`)
    // CloudStack's first boot grows partitions 2 (the extended one in an MBR) and 6.
    if (expected.partitions === undefined && last?.number !== 6) faults.push(`the root is ${last?.number}`)
    // Firmware other than a BIOS looks for a file system that it can read.
    const isMarked = partitions.find(({ bootable }) => bootable)?.mount === '/boot'
    if (table === 'mbr' && !isMarked) faults.push('/boot is not bootable')
    return faults.length === 0
      ? passed(found.join(', '))
      : failed(`${faults.join('; ')}; found ${found.join(', ')}`)
  },
}

const esp = `vfat ${espMount}`

/** The partitions of a disk built elsewhere. A PC's disk may also boot by UEFI. */
function usualPartitions(table: TableKind, hasEsp: boolean): readonly string[] {
  if (table === 'gpt') return [esp, 'ext2 /boot', 'swap swap', 'ext4 /']
  return ['ext2 /boot', ...(hasEsp ? [esp] : []), 'swap swap', 'ext4 /']
}

/** The names of partition tables in common tools. */
const tableNames = { mbr: 'dos', gpt: 'gpt' } as const

function describe({ filesystem, mount, sectors }: PartitionFacts): string {
  return `${filesystem ?? 'unknown'} ${mount ?? ''} ${Math.round(sectors / 2048)} MiB`.replace(/ +/g, ' ')
}

const reserved: ContentCheck = {
  id: 'A5',
  group: 'file',
  at: 'content',
  does: 'reads the superblocks',
  run: async ({ files }) => {
    const counted = files.partitions.filter(({ reservedBlocks }) => reservedBlocks !== undefined)
    const text = counted.map(({ mount, reservedBlocks }) => `${mount}: ${reservedBlocks}`).join(', ')
    if (counted.length === 0) return failed('there is no ext file system')
    return counted.some(({ reservedBlocks }) => reservedBlocks !== 0)
      ? failed(`${text} blocks`)
      : passed(text)
  },
}

const kernelArguments = ['net.ifnames=0', 'biosdevname=0', 'console=tty0', 'console=hvc0']

/** Arguments of the default kernel in a GRUB configuration. */
export function defaultKernelWords(config: string): readonly string[] {
  return /^[ \t]*linux[ \t]+\S+[ \t]+(.*)$/m.exec(config)?.[1]?.split(/\s+/) ?? []
}

const grub: ContentCheck = {
  id: 'A6',
  group: 'file',
  at: 'content',
  does: 'reads /boot/grub/grub.cfg: time limits, and the arguments of the kernel that boots by default',
  run: async ({ files, expected }) => {
    const config = await readText(files, '/boot/grub/grub.cfg')
    if (config === undefined) return failed('there is no /boot/grub/grub.cfg')
    const menu = config.slice(0, Math.max(0, config.indexOf('### END /etc/grub.d/00_header')) || undefined)
    const timeouts = [...menu.matchAll(/^[ \t]*set timeout=(-?\d+)/gm)].map(([, seconds]) => seconds)
    const words = defaultKernelWords(config)
    const wanted = [...kernelArguments, `console=${archs[expected.arch].serialConsole}`]
    const faults = wanted.filter((word) => !words.includes(word)).map((word) => `no ${word}`)
    // The time limit after a failed boot comes first, the usual one last.
    if (timeouts.at(-1) !== '0') faults.push(`the time limit is ${timeouts.at(-1) ?? 'missing'} s`)
    return judge(faults, words.join(' '))
  },
}

const release: ContentCheck = {
  id: 'A8',
  group: 'file',
  at: 'content',
  does: 'reads /etc/cloudstack-release',
  run: async ({ files, expected }) => {
    const text = ((await readText(files, '/etc/cloudstack-release')) ?? '').trim()
    const found = /^Cloudstack Release (\S+) \S/.exec(text)?.[1]
    if (found === undefined) return failed(text === '' ? 'there is none' : `it says ${JSON.stringify(text)}`)
    if (expected.release !== undefined && found !== expected.release) return failed(`it says ${found}`)
    return passed(text)
  },
}

const signature: ContentCheck = {
  id: 'A9',
  group: 'file',
  at: 'content',
  does: 'computes the digest of /usr/share/cloud/cloud-scripts.tgz and compares it with the signature',
  run: async ({ files }) => {
    const archive = await files.read('/usr/share/cloud/cloud-scripts.tgz')
    const signed = ((await readText(files, '/var/cache/cloud/cloud-scripts-signature')) ?? '').trim()
    if (archive === undefined) return failed('there is no /usr/share/cloud/cloud-scripts.tgz')
    const algorithm = { 32: 'md5', 128: 'sha512' }[signed.length]
    if (algorithm === undefined) return failed(`the signature is ${JSON.stringify(signed)}`)
    const digest = createHash(algorithm).update(archive).digest('hex')
    return judge(digest === signed ? [] : [`signed ${signed}, but the ${algorithm} is ${digest}`], algorithm)
  },
}

const folders = [
  '/opt/cloud/bin',
  '/usr/local/cloud',
  '/usr/share/cloud',
  '/var/cache/cloud',
  '/var/www/html',
  '/etc/cloudstack',
  '/var/lib/haproxy',
  '/opt/tftpboot',
]

const foldersExist: ContentCheck = {
  id: 'A10',
  group: 'file',
  at: 'content',
  does: 'looks for each folder',
  run: async ({ files }) => {
    const found = await Promise.all(folders.map(async (path) => [path, await files.stat(path)] as const))
    const missing = found.filter(([, entry]) => entry?.type !== 'folder').map(([path]) => `no ${path}`)
    return judge(missing, `${folders.length} folders`)
  },
}

const programs = [
  '/root/clearUsageRules.sh',
  '/root/reconfigLB.sh',
  '/root/monitorServices.py',
  '/etc/profile.d/cloud.sh',
]

const programsRun: ContentCheck = {
  id: 'A11',
  group: 'file',
  at: 'content',
  does: 'reads the modes of /opt/cloud/bin/* and of what the management server calls elsewhere',
  run: async ({ files }) => {
    const inFolder = await files.list('/opt/cloud/bin')
    const named = await Promise.all(programs.map(async (path) => ({ path, entry: await files.stat(path) })))
    const all = [...inFolder.map((entry) => ({ path: `/opt/cloud/bin/${entry.name}`, entry })), ...named]
    const faults = all.flatMap(({ path, entry }) => {
      // Files that the management server copies in later bring their own mode.
      if (entry === undefined || entry.type !== 'file') return []
      return (entry.mode & 0o111) === 0o111 ? [] : [`${path} has the mode ${entry.mode.toString(8)}`]
    })
    if (inFolder.length === 0) faults.push('/opt/cloud/bin is empty')
    return judge(faults, `${inFolder.length} in /opt/cloud/bin`)
  },
}

const xenstore: ContentCheck = {
  id: 'E1',
  group: 'file',
  at: 'content',
  does: 'looks for /usr/bin/xenstore-read',
  run: async ({ files, expected }) => {
    if (expected.arch !== 'x86_64') return skipped(`CloudStack has no Xen hosts of ${expected.arch}`)
    const entry = await files.stat('/usr/bin/xenstore-read')
    return entry === undefined ? failed('there is none') : passed(`${entry.sizeBytes} bytes`)
  },
}

const modules: ContentCheck = {
  id: 'G7',
  group: 'file',
  at: 'content',
  does: 'looks for each module of /etc/modules-load.d and /etc/modules in the kernel',
  run: async ({ files }) => {
    const named = await modulesForBoot(files)
    const kernels = (await namesIn(files, '/usr/lib/modules')).filter((name) => /^\d/.test(name))
    if (kernels.length === 0) return failed('there is no kernel in /usr/lib/modules')
    const faults: string[] = []
    for (const kernel of kernels) {
      const lists = await Promise.all(
        ['modules.dep', 'modules.builtin'].map((name) =>
          readText(files, `/usr/lib/modules/${kernel}/${name}`),
        ),
      )
      const have = new Set(
        lists.flatMap((text) => (text ?? '').split('\n').map((line) => plainName(moduleOf(line)))),
      )
      for (const name of named) if (!have.has(plainName(name))) faults.push(`${kernel} has no ${name}`)
    }
    return judge(faults, `${named.join(' ')} in ${kernels.join(', ')}`)
  },
}

/** The module that a line of modules.dep or modules.builtin is about; in the former, what it needs comes after a colon. */
const moduleOf = (line: string): string =>
  /^(.*)\.ko(?:\.\w+)?$/.exec(line.split(':', 1)[0]?.split('/').at(-1) ?? '')?.[1] ?? ''

async function modulesForBoot(files: ImageFiles): Promise<readonly string[]> {
  const inFolder = await namesIn(files, '/etc/modules-load.d')
  const paths = ['/etc/modules', ...inFolder.map((name) => `/etc/modules-load.d/${name}`)]
  const texts = await Promise.all(paths.map((path) => readText(files, path)))
  const lines = texts.flatMap((text) => (text ?? '').split('\n').map((line) => line.trim()))
  return [...new Set(lines.filter((line) => line !== '' && !/^[#;]/.test(line)))]
}

/** Module file names can contain - instead of _. */
const plainName = (name: string) => name.replaceAll('-', '_')

export const contentChecks: readonly ContentCheck[] = [
  layout,
  reserved,
  grub,
  release,
  signature,
  foldersExist,
  programsRun,
  xenstore,
  modules,
]
