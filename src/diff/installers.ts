/** The expected differences between layer 0 from two installers, and the reasons for them. */

import { dirname, resolve } from 'node:path/posix'
import { type Package, readPackages } from '../debian/dpkg-status.ts'
import type { DiskFiles } from '../disk/disk-files.ts'
import { isExtended } from '../disk/partitions.ts'
import type { ChangedFile, ChangedPartition, DiskDifference } from './compare.ts'
import type { DiffReport } from './report.ts'

/** An expected difference, and how often it was found. */
export interface ExpectedDifference {
  readonly name: string
  readonly why: string
  /** Number of files, packages, and partitions. */
  readonly count: number
}

interface Expectation {
  readonly name: string
  readonly why: string
  readonly paths?: RegExp
  readonly packages?: RegExp
  /** Whether a package that only one of the disks has is expected. */
  readonly package?: (found: Package) => boolean
  readonly isOfUpgrades?: boolean
  /** Whether it covers files whose owners have the same names but different numbers. */
  readonly isOfNumbers?: boolean
  readonly partition?: (changed: ChangedPartition) => boolean
}

/** How far off partman's partitions are, in whole MiB, because it counts in millions of bytes. */
const roundingSectors = (2 * 1024 * 1024) / 512

/** All expectations. A difference that matches none of them needs a person's attention. */
const expectations: readonly Expectation[] = [
  {
    name: 'partitions',
    why: 'debian-installer generates UUIDs, and rounds sizes to its own MiB',
    paths: /^\/etc\/fstab$|^\/etc\/initramfs-tools\/conf\.d\/resume$/,
    partition: isRounded,
  },
  {
    name: 'boot loader',
    why: 'debian-installer installs GRUB with the base; with bootstrap a stage does',
    paths:
      /^\/boot\/grub(\/|$)|^\/etc\/(default\/grub|grub\.d|kernel)(\/|$)|^\/usr\/(lib|share)\/grub(\/|$)|^\/var\/lib\/(grub|os-prober)(\/|$)/,
    packages:
      /^(grub\d*-|os-prober$|dmsetup$|libdevmapper|libefi|libfreetype6$|libpng16|libbrotli1$|libfuse|gettext-base$|mokutil$|shim-)/,
  },
  {
    name: 'initramfs',
    why: 'each is made on its own, with the UUIDs of its disk',
    paths: /^\/boot\/initrd\.img|^\/var\/lib\/initramfs-tools(\/|$)/,
  },
  {
    name: "the installer's own",
    why: 'packages that debian-installer adds for the machine that it runs on, and its log',
    paths:
      /^\/var\/log\/installer(\/|$)|^\/etc\/systemd\/system\/[^/]+\.wants$|^\/etc\/(modprobe\.d|modules|modules-load\.d)(\/|$)|^\/etc\/(kernel-img\.conf|securetty|apt\/apt\.conf(\.d\/00.*)?)$|^\/(media|cdrom)(\/|$)/,
    packages:
      /^(installation-report|discover|laptop-detect|tasksel|eject|qemu-guest-agent|busybox|e2fsprogs|console-setup|keyboard-configuration|kbd|locales|libc-l10n|util-linux-locales|debconf-i18n|usbutils|pciutils|hwdata|ca-certificates|apparmor|libtext-|liblocale-)/,
  },
  {
    name: 'required packages',
    why: 'debian-installer installs all packages of that priority, bootstrap only the essential ones',
    package: ({ priority }) => priority === 'required',
  },
  {
    name: 'updates',
    why: 'debian-installer installs from the suite only, and the first stage updates; bootstrap installs the newest at once',
    isOfUpgrades: true,
    packages: /^linux-(image|headers|modules)-\d/,
    paths: /^\/(usr\/)?lib\/modules\/[^/]+(\/modules\..*)?$/,
  },
  {
    name: 'documentation',
    why: 'bootstrap unpacks the essential packages before dpkg is set to exclude it; a stage removes it',
    paths: /^\/usr\/share\/(doc|info|lintian|man)(\/|$)/,
  },
  {
    name: "bootstrap's own",
    why: 'mmdebstrap moves it aside while it installs; a stage removes it',
    paths: /^\/usr\/sbin\/start-stop-daemon\.REAL$/,
  },
  {
    name: 'network',
    why: 'debian-installer records the network it installed from; a stage writes its own',
    paths: /^\/etc\/(network(\/interfaces.*)?|hosts|resolv\.conf|networks)$|^\/var\/lib\/(dhcp|dhcpcd)(\/|$)/,
  },
  {
    name: 'language',
    why: 'the same settings, also for the console, written differently; a stage sets them',
    paths:
      /^\/etc\/(locale\.gen|locale\.conf|default\/(locale|keyboard|console-setup)|environment|timezone|adjtime|vconsole\.conf|console-setup(\/.*)?)$|^\/usr\/lib\/locale\/locale-archive$/,
  },
  {
    name: 'made on the spot',
    why: "the machine's own certificate, the bundle of all, sorted by its locale, and the current firewall",
    paths: /^\/etc\/(ca-certificates\.conf|ssl\/(certs|private)\/.*|iptables\/rules\.v[46])$/,
  },
  {
    name: 'accounts',
    why: 'the same accounts in another order, so with other numbers, and with the day each was created',
    isOfNumbers: true,
    paths: /^\/etc\/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^\/etc\/\.pwd\.lock$|^\/(root|home)(\/|$)/,
  },
  {
    name: 'caches, logs and lists',
    why: 'of what each installed, and when',
    paths:
      /^\/var\/(cache|log|lib|backups|spool|tmp|mail|local|opt)(\/|$)|^\/etc\/ld\.so\.cache$|^\/var\/\.updated$|^\/etc\/(\.updated|apt\/.*|dpkg\/.*|ucf\.conf|machine-id|hostname|shells|debconf\.conf)$|^\/(run|lost\+found|dev|initrd.*|vmlinuz.*)(\/|$)/,
  },
]

/** Removes the expected differences between two installers from a report, and counts them. */
export async function setAsideExpected(
  report: DiffReport,
  disks: readonly DiskFiles[],
): Promise<{ readonly report: DiffReport; readonly expected: readonly ExpectedDifference[] }> {
  const { difference } = report
  const { added, removed, changed, packages, partitions } = difference
  const counts = new Map<string, number>()
  const isExpected = (found: Expectation | undefined): boolean => {
    if (found !== undefined) counts.set(found.name, (counts.get(found.name) ?? 0) + 1)
    return found !== undefined
  }
  const expectedPackages = await expectPackages(difference, disks)
  const owners = await ownersOf(difference, disks)
  const links = linksOf(difference)
  const expectFile = (path: string, hops = 0): Expectation | undefined => {
    const listed = expectations.find(({ paths }) => paths?.test(path))
    if (listed !== undefined) return listed
    const owner = owners.get(path)
    if (owner !== undefined) return expectedPackages.get(owner)
    // A link created by a package's script counts as part of the package that owns its target.
    const leadsTo = links.get(path)
    return leadsTo === undefined || hops === maximumHops ? undefined : expectFile(leadsTo, hops + 1)
  }
  const isOfSameNames = await compareOwners(disks)
  const ofNumbers = expectations.find(({ isOfNumbers }) => isOfNumbers)
  const isUnexpectedChange = (found: ChangedFile) =>
    !isExpected(expectFile(found.path) ?? (isOfSameNames(found) ? ofNumbers : undefined))
  const isUnexpectedFile = ({ path }: { readonly path: string }) => !isExpected(expectFile(path))
  const isUnexpectedPackage = ({ name }: { readonly name: string }) => !isExpected(expectedPackages.get(name))
  const left: DiskDifference = {
    ...difference,
    added: added.filter(isUnexpectedFile),
    removed: removed.filter(isUnexpectedFile),
    changed: changed.filter(isUnexpectedChange),
    packages: {
      added: packages.added.filter(isUnexpectedPackage),
      removed: packages.removed.filter(isUnexpectedPackage),
      upgraded: packages.upgraded.filter(isUnexpectedPackage),
    },
    partitions: partitions.filter(
      (changedOne) => !isExpected(expectations.find(({ partition }) => partition?.(changedOne))),
    ),
  }
  const paths = new Set([...left.added, ...left.removed, ...left.changed].map(({ path }) => path))
  const contents = new Map([...report.contents].filter(([path]) => paths.has(path)))
  return {
    report: { ...report, difference: left, contents },
    expected: expectations.flatMap(({ name, why }) => {
      const count = counts.get(name)
      return count === undefined ? [] : [{ name, why, count }]
    }),
  }
}

/** Linux's limit for following links, which may form a loop. */
const maximumHops = 40

/** The current targets of the links that differ. */
function linksOf({ added, removed, changed }: DiskDifference): ReadonlyMap<string, string> {
  const files = [...added, ...removed, ...changed.map(({ after }) => after)]
  return new Map(
    files.flatMap(({ path, target }) =>
      target === undefined ? [] : [[path, resolve(dirname(path), target)] as const],
    ),
  )
}

/** The differing packages that are expected, each with the first reason that applies. */
async function expectPackages(
  { packages }: DiskDifference,
  disks: readonly DiskFiles[],
): Promise<ReadonlyMap<string, Expectation>> {
  const expected = new Map<string, Expectation>()
  const upgrades = expectations.find(({ isOfUpgrades }) => isOfUpgrades)
  for (const { name } of upgrades === undefined ? [] : packages.upgraded) {
    expected.set(name, upgrades as Expectation)
  }
  const names = new Set([...packages.added, ...packages.removed].map(({ name }) => name))
  const known = await Promise.all(disks.map(readPackages))
  for (const name of names) {
    const found = known.map((of) => of.get(name)).find((of) => of !== undefined)
    const reason = expectations.find(
      (expectation) =>
        (expectation.packages?.test(name) ?? false) ||
        (found !== undefined && (expectation.package?.(found) ?? false)),
    )
    if (reason !== undefined) expected.set(name, reason)
  }
  // The dependencies of an expected package are expected too.
  const queue = [...expected].filter(([name]) => names.has(name))
  for (const [name, reason] of queue) {
    for (const of of known) {
      for (const needed of of.get(name)?.dependsOn ?? []) {
        if (!names.has(needed) || expected.has(needed)) continue
        expected.set(needed, reason)
        queue.push([needed, reason])
      }
    }
  }
  return expected
}

/** Whether a changed file's owners differ only in their numbers, not in their names. */
async function compareOwners(disks: readonly DiskFiles[]): Promise<(changed: ChangedFile) => boolean> {
  const [before, after] = await Promise.all(
    [disks[0], disks.at(-1)].map(async (of) => ({
      users: await readNames(of, '/etc/passwd'),
      groups: await readNames(of, '/etc/group'),
    })),
  )
  const ownersOn = (names: typeof before, { uid, gid }: ChangedFile['before']) =>
    `${names?.users.get(uid) ?? uid}:${names?.groups.get(gid) ?? gid}`
  return ({ aspects, before: old, after: found }) =>
    aspects.length === 1 && aspects[0] === 'owner' && ownersOn(before, old) === ownersOn(after, found)
}

/** Names by number, from a file in the format of /etc/passwd or /etc/group. */
async function readNames(disk: DiskFiles | undefined, path: string): Promise<ReadonlyMap<number, string>> {
  const text = (await disk?.read(path))?.toString('utf8') ?? ''
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name = '', , number = ''] = line.split(':')
      return /^\d+$/.test(number) ? [[Number(number), name] as const] : []
    }),
  )
}

function isRounded({ before, after }: ChangedPartition): boolean {
  if (before === undefined || after === undefined) return false
  const isNear = (one: number, other: number) => Math.abs(one - other) <= 2 * roundingSectors
  return (
    (before.type === after.type || (isExtended(before.type) && isExtended(after.type))) &&
    before.filesystem === after.filesystem &&
    before.isBootable === after.isBootable &&
    before.mountPoint === after.mountPoint &&
    isNear(before.startSector, after.startSector) &&
    isNear(before.sectors, after.sectors)
  )
}

/** The package that owns each differing path, according to dpkg's lists. */
async function ownersOf(
  { packages }: DiskDifference,
  disks: readonly DiskFiles[],
): Promise<ReadonlyMap<string, string>> {
  const names = new Set(
    [...packages.added, ...packages.removed, ...packages.upgraded].map(({ name }) => name),
  )
  const owners = new Map<string, string>()
  for (const disk of disks) {
    const lists = new Map(
      [...(await disk.list()).keys()].flatMap((path) => {
        const name = /^\/var\/lib\/dpkg\/info\/([^/:]+)(?::[^/]+)?\.list$/.exec(path)?.[1]
        return name !== undefined && names.has(name) ? [[path, name] as const] : []
      }),
    )
    for (const [path, content] of await disk.readMany(lists.keys())) {
      const name = lists.get(path) ?? ''
      // Packages still list paths in folders that are now links.
      for (const line of content.toString('utf8').split('\n')) {
        owners.set(line.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/'), name)
      }
    }
  }
  return owners
}
