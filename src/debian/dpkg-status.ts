/** The packages on a disk, read from its dpkg status. */

import type { DiskFiles } from '../disk/disk-files.ts'
import { requireAtMost, unreadableDisk } from '../disk/unreadable.ts'
import { parseFields } from './release.ts'

/** An installed package: its files are on the disk. */
export interface Package {
  /** With `:<architecture>` if it is not the disk's own architecture. */
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** Third word of dpkg's status: `installed`, or the point where an installation stopped. */
  readonly status: string
  readonly source: { readonly name: string; readonly version: string }
  /** `required` and `important` packages are in every installation unless excluded. */
  readonly priority: string
  /** Names of packages that it may need, including all alternatives. */
  readonly dependsOn: readonly string[]
}

/** The file of a desktop installation has eight MiB. */
const mostStatusBytes = 32 * 1024 ** 2

/** Packages by name; empty if there is no dpkg. @throws PipelineError `disk-unreadable` */
export async function readPackages(disk: DiskFiles): Promise<ReadonlyMap<string, Package>> {
  const content = await disk.read('/var/lib/dpkg/status', { follow: true })
  requireAtMost(content?.length ?? 0, mostStatusBytes, 'bytes in the status of its dpkg', disk.path)
  const packages = parsePackages(content?.toString() ?? '')
  const odd = [...packages.values()].find((one) => !isOfDpkg(one))
  if (odd === undefined) return packages
  throw unreadableDisk(
    `cannot read the disk ${disk.path}: its dpkg lists ${JSON.stringify(`${odd.name} ${odd.version} ${odd.architecture}`.slice(0, 200))}, which is not a package`,
    undefined,
    'dpkg itself writes no such name or version: give a disk whose /var/lib/dpkg/status is as dpkg left it.',
  )
}

/** Parses dpkg's `status` file. Packages with only configuration left do not count. */
export function parsePackages(text: string): ReadonlyMap<string, Package> {
  const packages = text.split(/\n{2,}/).flatMap((paragraph) => parsePackage(paragraph) ?? [])
  // dpkg itself is never foreign.
  const native = packages.find(({ name }) => name === 'dpkg')?.architecture
  const isForeign = (architecture: string) =>
    native !== undefined && architecture !== native && architecture !== 'all'
  return new Map(
    packages.map((found) => {
      const name = isForeign(found.architecture) ? `${found.name}:${found.architecture}` : found.name
      return [name, { ...found, name }]
    }),
  )
}

/** A package's name without the `:amd64` that dpkg-query adds if the package can be installed for several architectures. */
export function withoutArchitecture(name: string): string {
  return name.split(':')[0] as string
}

// --- internal ---

/** Whether a package's fields have dpkg's syntax: bills of materials, tables, and URLs are made of them. */
function isOfDpkg({ name, version, architecture, source }: Package): boolean {
  return (
    /^[\w-]*$/.test(architecture) &&
    /^[A-Za-z0-9][\w.+-]*(:[\w-]+)?$/.test(name) &&
    /^[A-Za-z0-9][\w.+-]*$/.test(source.name) &&
    [version, source.version].every((one) => /^[A-Za-z0-9][\w.+:~-]*$/.test(one))
  )
}

function parsePackage(paragraph: string): Package | undefined {
  const fields = parseFields(paragraph)
  const [name, version] = [fields.get('Package'), fields.get('Version')]
  const status = fields.get('Status')?.split(' ')[2] ?? ''
  if (name === undefined || version === undefined) return undefined
  if (status === 'config-files' || status === 'not-installed') return undefined
  // `Source: name (version)`, each only if it differs from the package's own.
  const [, sourceName = name, sourceVersion = version] =
    /^(\S+)(?: \((.+)\))?$/.exec(fields.get('Source') ?? '') ?? []
  return {
    name,
    version,
    architecture: fields.get('Architecture') ?? '',
    status,
    source: { name: sourceName, version: sourceVersion },
    priority: fields.get('Priority') ?? '',
    dependsOn: ['Pre-Depends', 'Depends'].flatMap((field) => parseDependencies(fields.get(field) ?? '')),
  }
}

/** `a (>= 1), b | c:any` → a, b, c. */
function parseDependencies(text: string): readonly string[] {
  return text.split(/[,|]/).flatMap((word) => /^\s*([a-z0-9][a-z0-9.+-]*)/.exec(word)?.[1] ?? [])
}
