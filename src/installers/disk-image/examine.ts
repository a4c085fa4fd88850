/** Whether a disk image can be layer 0, and where its partitions are. Reports everything that is wrong at once. */

import type { ResolvedImage } from '../../config/resolved.ts'
import { type Package, readPackages } from '../../debian/dpkg-status.ts'
import type { DiskFiles } from '../../disk/disk-files.ts'
import { type Layout, sectorBytes } from '../../disk/layout.ts'
import { isExtended } from '../../disk/partitions.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { quote } from '../../host/shell-words.ts'
import { readLayout } from '../found-layout.ts'

export interface ExaminedImage {
  readonly layout: Layout
  readonly packages: readonly Pick<Package, 'name' | 'version'>[]
}

type Wanted = Pick<ResolvedImage, 'suite' | 'debianArch' | 'disk'>

/** Without these, a guest does not boot, or gives no access to install them. */
const neededToEnter = [
  'initramfs-tools',
  'iproute2',
  'openssh-server',
  'perl-base',
  'systemd-sysv',
  'udev',
] as const

const mebibyte = 1024 ** 2

/** @throws PipelineError `base-image-layout`, `base-image-unfit` */
export async function examineImage(wanted: Wanted, disk: DiskFiles): Promise<ExaminedImage> {
  const layout = requireLayout(wanted, disk)
  const packages = await readPackages(disk)
  const faults = [
    ...(await faultsOfSystem(wanted, disk)),
    ...faultsOfPackages(wanted, packages),
    ...(await faultsOfKernel(disk)),
  ]
  if (faults.length > 0) throw unfit(disk, faults)
  return { layout, packages: [...packages.values()].map(({ name, version }) => ({ name, version })) }
}

// --- partitions ---

function requireLayout({ disk: wanted }: Wanted, disk: DiskFiles): Layout {
  const sizeBytes = wanted.sizeMiB * mebibyte
  const faults: string[] = []
  if (disk.sizeBytes > sizeBytes) {
    const sizeMiB = Math.ceil(disk.sizeBytes / mebibyte)
    faults.push(`the disk has ${sizeMiB} MiB, more than disk.sizeMiB, which is ${wanted.sizeMiB}`)
  }
  if (wanted.table === 'gpt') {
    const hint = 'leave out the variants with such a disk, or make their layer 0 with: --installer bootstrap.'
    throw unfitLayout(disk, [...faults, 'disk.table is gpt, but only an image with an MBR can be used'], hint)
  }
  if (disk.table !== 'dos') {
    const table = disk.table === 'none' ? 'no partition table' : `a partition table of the kind ${disk.table}`
    throw unfitLayout(
      disk,
      [...faults, `it has ${table}, with ${describePartitions(disk)}`],
      'give an image with an MBR that boots by BIOS, as the machines of CloudStack do.',
    )
  }
  const { layout, differences } = readLayout(wanted, disk)
  faults.push(...differences)
  if (faults.length > 0) {
    const hint = `give another image, or make disk what this one has: --set disk.partitions=${quote(JSON.stringify(partitionsOf(disk)))}`
    throw unfitLayout(disk, faults, hint)
  }
  return { ...layout, sizeBytes }
}

/** The partitions of a disk in the notation of `pipeline.ts`. */
function partitionsOf({ partitions }: DiskFiles) {
  const places = partitions.filter(({ type }) => !isExtended(type))
  return places.map(({ number, sectors, filesystem, mountPoint, isBootable }, index) => ({
    ...(mountPoint === undefined ? {} : { mount: mountPoint }),
    filesystem,
    ...(index === places.length - 1
      ? { grow: true }
      : { sizeMiB: Math.round((sectors * sectorBytes) / mebibyte) }),
    primary: number < 5,
    bootable: isBootable,
  }))
}

function describePartitions({ partitions }: DiskFiles): string {
  const found = partitions.map(
    ({ number, filesystem, type, mountPoint }) =>
      `${number} (${filesystem ?? type}${mountPoint === undefined ? '' : `, ${mountPoint}`})`,
  )
  return `partitions ${found.join(', ')}`
}

function unfitLayout({ path }: DiskFiles, faults: readonly string[], hint: string): PipelineError {
  return new PipelineError({
    code: 'base-image-layout',
    message: [
      `the disk image ${path} does not fit disk in pipeline.ts:`,
      ...faults.map((text) => `  ${text}`),
    ].join('\n'),
    hint,
    exitCode: exitCodes.badInput,
    details: { faults },
  })
}

// --- what is on it ---

async function faultsOfSystem({ suite }: Wanted, disk: DiskFiles): Promise<readonly string[]> {
  const text = (await disk.read('/etc/os-release', { follow: true }))?.toString() ?? ''
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1]
  const [id, codename] = [field('ID'), field('VERSION_CODENAME')]
  if (id === 'debian' && codename === suite) return []
  const found = id === undefined ? 'there is no /etc/os-release' : `it is ${id} ${codename ?? ''}`.trimEnd()
  return [`${found}, and not Debian ${suite}`]
}

function faultsOfPackages({ debianArch }: Wanted, packages: ReadonlyMap<string, Package>): readonly string[] {
  const dpkg = packages.get('dpkg')
  if (dpkg === undefined) return ['its dpkg knows of no packages']
  const broken = [...packages.values()].filter(({ status }) => status !== 'installed')
  const missing = neededToEnter.filter((name) => !packages.has(name))
  return [
    ...(dpkg.architecture === debianArch ? [] : [`it is made for ${dpkg.architecture}, not ${debianArch}`]),
    ...(missing.length === 0 ? [] : [`it lacks ${missing.join(', ')}, without which no stage can run in it`]),
    ...broken.slice(0, 5).map(({ name, status }) => `its package ${name} is ${status}`),
  ]
}

async function faultsOfKernel(disk: DiskFiles): Promise<readonly string[]> {
  const names = new Set((await disk.list()).keys())
  const versions = [...names].flatMap((path) => /^\/boot\/vmlinuz-(.+)$/.exec(path)?.[1] ?? [])
  if (versions.some((version) => names.has(`/boot/initrd.img-${version}`))) return []
  return [
    versions.length === 0
      ? 'it has no kernel in /boot'
      : `it has no initrd in /boot for its kernel ${versions.join(', ')}`,
  ]
}

function unfit({ path }: DiskFiles, faults: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'base-image-unfit',
    message: [`the disk image ${path} cannot be layer 0:`, ...faults.map((text) => `  ${text}`)].join('\n'),
    hint: 'give an image of the suite and architecture of the variant, with a kernel, systemd and an SSH server in it.',
    exitCode: exitCodes.badInput,
    details: { faults },
  })
}
