/**
 * The same packages in a compressed qcow2 file, made by this program, by mkosi, and by mmdebstrap alone: from nothing with
 * downloaded packages, and after a script near the end has changed. In rounds, so that a drifting host distorts none.
 *
 * The others have less to do: they run none of the stages, install no boot loader, and check nothing.
 */

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { $ as shell } from 'zx'
import type { ResolvedImage } from '../src/config/resolved.ts'
import { renderSourceLines, renderSources } from '../src/debian/archives.ts'
import { findProgram } from '../src/host/tools.ts'
import { formatSeconds, formatTable } from '../src/report/format.ts'
import type { Report } from '../src/report/report.ts'
import { median } from './median.ts'

const $ = shell({ quiet: true, stdio: ['ignore', 'ignore', 'inherit'] })

interface Peer {
  readonly name: string
  /** Forgets everything but downloaded packages. */
  readonly forget: () => Promise<unknown>
  readonly make: () => Promise<unknown>
  /** Changes the last script; without it, every change costs as much as the first time. */
  readonly change?: (round: number) => Promise<unknown>
}

export interface PeersRequest {
  readonly project: string
  readonly program: string
  /** An empty folder. */
  readonly folder: string
  /** Folder of downloaded packages. */
  readonly packageCache: string
  readonly image: ResolvedImage
  readonly rounds: number
}

/** Returns a table of medians, each beside its median ratio to mkosi's time in the same round. */
export async function measurePeers(request: PeersRequest): Promise<string> {
  const own = await ownPeer(request)
  const times = new Map<string, number[]>()
  const time = async (name: string, make: () => Promise<unknown>) => {
    const started = performance.now()
    await make()
    times.set(name, [...(times.get(name) ?? []), (performance.now() - started) / 1000])
  }
  let names: readonly string[] = []
  let others: readonly Peer[] = []
  for (let round = 0; round < request.rounds; round += 1) {
    await own.forget()
    await time(`${own.name}, from nothing`, own.make)
    if (round === 0) {
      names = await packagesOf(own.out)
      others = [await mkosiPeer(request, names), await plainPeer(request, names)]
    }
    for (const { name, forget, make } of others) {
      await forget()
      await time(`${name}, from nothing`, make)
    }
    for (const { name, change, make } of [own, ...others]) {
      if (change === undefined) continue
      await change(round)
      await time(`${name}, a late script changed`, make)
    }
  }
  const rows = [...times].map(([name, all]) => {
    const yardstick = times.get(name.replace(/^[^,]*/, 'mkosi')) ?? []
    const ratios = all.map((seconds, round) => seconds / (yardstick[round] ?? Number.NaN))
    return [name, formatSeconds(median(all)), median(ratios).toFixed(2)]
  })
  return formatTable(
    [[`${names.length} packages, qcow2`, 'median', 'of mkosi'], ...rows],
    [false, true, true],
  )
}

/** Names of the packages that a build has in the end. */
async function packagesOf(out: string): Promise<readonly string[]> {
  const { packages = [] } = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as Report
  return packages.map(({ name }) => name)
}

/** What the last script of everyone does; no two rounds have the same. */
const lateScript = (round: number) => `echo ${round + 1} >/etc/late\n`

async function ownPeer({
  project,
  program,
  folder,
  packageCache,
}: PeersRequest): Promise<Peer & { readonly out: string }> {
  const place = join(folder, 'own')
  const out = join(place, 'out')
  await mkdir(place)
  const script = (round: number) =>
    writeFile(
      join(place, 'late.sh'),
      `#!/bin/sh\n# late.sh: a file of one line.\n# uses: nothing    leaves: /etc/late\nset -eu\n\n${lateScript(round)}[ -s /etc/late ]\n`,
    )
  await script(-1)
  await writeFile(
    join(place, 'pipeline.ts'),
    `import product from ${JSON.stringify(join(project, 'pipeline.ts'))}
import { defineStage } from ${JSON.stringify(join(project, 'src/config/stage.ts'))}
const late = defineStage({ name: 'late', summary: 'a file', from: import.meta.url, leaves: () => ['/etc/late'] })
export default { ...product, stages: [...product.stages.slice(0, -1), late(), ...product.stages.slice(-1)] }
`,
  )
  const forget = async () => {
    await rm(out, { recursive: true, force: true })
    await mkdir(join(out, 'cache'), { recursive: true })
    await cp(packageCache, join(out, 'cache', 'packages'), { recursive: true })
  }
  const words = [
    'build',
    '--no-verify',
    '--targets',
    'kvm',
    '--pipeline',
    join(place, 'pipeline.ts'),
    '--out',
    out,
  ]
  return {
    ...{ name: 'this program', out, forget, change: script },
    make: () => $`${process.execPath} ${program} ${words}`,
  }
}

async function mkosiPeer(
  { folder, packageCache, image }: PeersRequest,
  names: readonly string[],
): Promise<Peer> {
  const mkosi = await findProgram('mkosi')
  if (mkosi === undefined) throw new Error('peers: there is no mkosi on this host')
  const place = join(folder, 'mkosi')
  const [config, archives, sources] = [
    join(place, 'image'),
    join(place, 'packages/cache/apt/archives'),
    join(place, 'image/sandbox/etc/apt/sources.list.d'),
  ]
  for (const name of [archives, sources, join(place, 'cache'), join(place, 'work')])
    await mkdir(name, { recursive: true })
  await cp(packageCache, archives, { recursive: true })
  // Instead of its own, which have an archive of debug symbols too.
  await writeFile(join(sources, 'mkosi.sources'), renderSources(image))
  await writeFile(
    join(config, 'mkosi.conf'),
    `[Distribution]
Distribution=debian
Release=${image.suite}
[Output]
Format=directory
Output=tree
[Content]
Bootable=no
CleanPackageMetadata=no
Packages=${names.join('\n        ')}
[Build]
Incremental=yes
BuildSources=
SandboxTrees=sandbox
PackageCacheDirectory=${place}/packages
CacheDirectory=${place}/cache
WorkspaceDirectory=${place}/work
`,
  )
  const script = join(config, 'mkosi.postinst.chroot')
  const change = (round: number) => writeFile(script, `#!/bin/sh\n${lateScript(round)}`, { mode: 0o755 })
  await change(-1)
  return {
    ...{ name: 'mkosi', change },
    forget: async () => {
      await rm(join(place, 'cache'), { recursive: true, force: true })
      await mkdir(join(place, 'cache'))
    },
    make: async () => {
      await $`${mkosi} --directory ${config} --force build`
      await writeQcow2(join(config, 'tree'), place, image)
    },
  }
}

/** The least that it takes: unpack, configure, make a file system, compress. */
async function plainPeer(
  { folder, packageCache, image }: PeersRequest,
  names: readonly string[],
): Promise<Peer> {
  const place = join(folder, 'plain')
  const tree = join(place, 'tree')
  await mkdir(place)
  const words = [
    ...['--mode=root', '--variant=apt', `--include=${names.join()}`, `--keyring=${image.mirror.keyring}`],
    '--skip=download/empty,essential/unlink',
    '--setup-hook=mkdir -p "$1/var/cache/apt/archives"',
    `--setup-hook=sync-in ${packageCache} /var/cache/apt/archives`,
  ]
  return {
    name: 'mmdebstrap and mke2fs',
    forget: () => rm(tree, { recursive: true, force: true }),
    make: async () => {
      await $`mmdebstrap ${words} ${image.suite} ${tree} ${renderSourceLines(image)}`
      await writeQcow2(tree, place, image)
    },
  }
}

async function writeQcow2(tree: string, place: string, { disk }: ResolvedImage): Promise<void> {
  const raw = join(place, 'disk')
  await rm(raw, { force: true })
  await $`mke2fs -q -t ext4 -d ${tree} ${raw} ${disk.sizeMiB}M`
  await $`qemu-img convert -c -O qcow2 ${raw} ${join(place, 'image.qcow2')}`
}
