/**
 * The build agent: what the build needs in a guest. It arrives in the initramfs and lives in /run, so no key, unit or file of
 * the build ever reaches the disk that becomes a layer: any layer can be booted for a build, and none needs cleaning.
 */

import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ResolvedStage } from '../config/resolved.ts'
import { type CpioEntry, renderCpio } from '../disk/cpio.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { bytesOf } from '../host/execa.ts'
import { makeFolder } from '../host/files.ts'
import { quote } from '../host/shell-words.ts'
import { writeFile } from '../host/writing.ts'
import { generateSshKey } from '../qemu/ssh.ts'
import { hostAddress } from './build-machine.ts'

/** Name of the unit that opens the guest to the build. */
export const buildUnit = 'systemvm-build.service'

export interface BuildAgent {
  /** Private key for root in the guest, made for this run. */
  readonly privateKey: string
  /** Initrd of the layer with the agent appended. */
  readonly initrd: string
  /** Tar of what differs between runs, for a guest that resumes with an earlier run's agent. */
  readonly renewal: Uint8Array
  /**
   * The first word of the lines in which `stage.sh` reports. It is random, so that nothing that a script prints, such as the
   * log of another build, is taken for a report.
   */
  readonly stageMark: string
}

const source = (name: string) => readFile(new URL(`./agent/${name}`, import.meta.url))

/** Where apt in a guest gets packages, instead of the image's sources. */
export interface GuestPackages {
  /** Port of a proxy on the host's 127.0.0.1. */
  readonly port: number
  /** Lines of a sources.list. */
  readonly sources: readonly string[]
}

export interface AgentOptions {
  /** Whether a person decides what happens after a failed stage. @default false */
  readonly holdsFailures?: boolean
  readonly packages?: GuestPackages | undefined
}

/**
 * Makes an agent in `folder` for the stages to run.
 * @param initrd the initrd of the layer to boot
 */
export async function makeBuildAgent(
  folder: string,
  initrd: string,
  stages: readonly ResolvedStage[],
  sourceDateEpoch: number,
  { holdsFailures = false, packages }: AgentOptions = {},
): Promise<BuildAgent> {
  await makeFolder(folder, 0o700)
  const privateKey = join(folder, 'key')
  const hostKey = join(folder, 'host_key')
  const kind = ['-t', 'ed25519', '-C', 'systemvm-build']
  await Promise.all([generateSshKey(privateKey, kind), generateSshKey(hostKey, kind)])
  const stageMark = `@stage-${randomBytes(8).toString('hex')}`
  const ofRun = new Map<string, Uint8Array>([
    ['systemvm-build/authorized_keys', await readFile(`${privateKey}.pub`)],
    ['systemvm-build/stage-mark', Buffer.from(`${stageMark}\n`)],
  ])
  if (holdsFailures) ofRun.set('systemvm-build/hold', Buffer.alloc(0))
  if (packages !== undefined) {
    ofRun.set('systemvm-build/sources.list', Buffer.from(`${packages.sources.join('\n')}\n`))
    ofRun.set('systemvm-build/apt.conf', Buffer.from(renderAptSettings(packages)))
  }
  for (const stage of stages) {
    const at = `systemvm-build/stages/${stage.name}`
    const isServed = packages !== undefined && stage.network
    const settings = isServed ? { APT_CONFIG: '/run/systemvm-build/apt.conf' } : {}
    ofRun.set(`${at}/environment`, Buffer.from(renderEnvironment(stage, sourceDateEpoch, settings)))
    ofRun.set(`${at}/leaves`, Buffer.from(stage.leaves.map((path) => `${path}\n`).join('')))
    if (stage.network) ofRun.set(`${at}/network`, Buffer.alloc(0))
    const files = await packFiles(stage)
    if (files !== undefined) ofRun.set(`${at}/files.tar`, files)
  }
  const inRun = new Map<string, Uint8Array>([
    ...(await readFixedFiles()),
    ['systemvm-build/host_key', await readFile(hostKey)],
    ...ofRun,
  ])
  const manifest = [...inRun.keys()].map((path) => `${path}\n`).join('')
  const entries: CpioEntry[] = [
    // initramfs-tools reads the order of a folder's scripts from this file, and skips a folder without it.
    file('scripts/local-bottom/ORDER', '/scripts/local-bottom/systemvm-build "$@"\n'),
    { ...file('scripts/local-bottom/systemvm-build', await source('hook.sh')), mode: 0o755 },
    file('systemvm-build/manifest', manifest),
    ...[...inRun].map(([path, content]) => file(`systemvm-build/run/${path}`, content)),
  ]
  const combined = join(folder, 'initrd')
  const original = await readFile(initrd)
  const gap = Buffer.alloc((512 - (original.length % 512)) % 512)
  await writeFile(combined, Buffer.concat([original, gap, renderCpio(entries)]), { mode: 0o600 })
  const renewal = await packRenewal(join(folder, 'renewal'), ofRun)
  return { privateKey, initrd: combined, renewal, stageMark }
}

/** Our files in every guest, by path below /run: the same in every run of this version. */
export async function readFixedFiles(): Promise<ReadonlyMap<string, Uint8Array>> {
  return new Map<string, Uint8Array>([
    [`systemd/system/${buildUnit}`, await source('systemvm-build.service')],
    ['systemd/system/systemvm-build-channel.service', await source('systemvm-build-channel.service')],
    ['systemd/journald.conf.d/systemvm-build.conf', Buffer.from('[Journal]\nStorage=volatile\n')],
    ['systemvm-build/sshd_config', await source('sshd_config')],
    ['systemvm-build/network.sh', await source('network.sh')],
    ['systemvm-build/channel.pl', await source('channel.pl')],
    ['systemvm-build/stage.sh', await source('stage.sh')],
    ['systemvm-build/resolv.conf', Buffer.from('nameserver 10.0.2.3\n')],
  ])
}

/** Includes a random seed: otherwise, all guests resumed from the same memory would draw the same random numbers. */
async function packRenewal(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<Uint8Array> {
  for (const [path, content] of [...files, ['systemvm-build/seed', randomBytes(512)] as const]) {
    await makeFolder(join(folder, dirname(path)), 0o700)
    await writeFile(join(folder, path), content, { mode: 0o600 })
  }
  const words = ['-c', '--owner=0', '--group=0', '-C', folder, '--', 'systemvm-build']
  return bytesOf('tar', words, { timeout: 60_000, ...bareEnvironment() })
}

function file(path: string, content: string | Uint8Array): CpioEntry {
  return { path, mode: 0o600, content: Buffer.from(content) }
}

/**
 * A stage's entire environment, as shell code. It travels with the agent, not through Packer, which would expand braces in
 * values as templates, and log secrets.
 */
export function renderEnvironment(
  stage: ResolvedStage,
  sourceDateEpoch: number,
  settings: Readonly<Record<string, string>> = {},
): string {
  const variables = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LC_ALL: 'C.UTF-8',
    DEBIAN_FRONTEND: 'noninteractive',
    SOURCE_DATE_EPOCH: `${sourceDateEpoch}`,
    ...(Object.keys(stage.files).length === 0
      ? {}
      : { STAGE_FILES: `/run/systemvm-build/stages/${stage.name}/files` }),
    ...settings,
    ...stage.environment,
  }
  const quoted = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}\n`)
  return `${quoted.join('')}export ${Object.keys(variables).join(' ')}\n`
}

/** apt reads these before the guest's settings, which do not cover any of this. */
export function renderAptSettings({ port }: GuestPackages): string {
  const settings = {
    'Acquire::http::Proxy': `http://${hostAddress}:${port}`,
    'Dir::Etc::sourcelist': '/run/systemvm-build/sources.list',
    'Dir::Etc::sourceparts': '/dev/null',
    // A set has no translated descriptions.
    'Acquire::Languages': 'none',
  }
  return Object.entries(settings)
    .map(([name, value]) => `${name} "${value}";\n`)
    .join('')
}

/** A stage's folders as one tar, owned by root, with the modes that Git keeps. */
async function packFiles(stage: ResolvedStage): Promise<Uint8Array | undefined> {
  const folders = Object.entries(stage.files)
  if (folders.length === 0) return undefined
  const fixed = [
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mtime=@0',
    '--mode=u+rw,go+r,go-w,a+X',
  ]
  // Matches the literal folder name, and leaves link targets alone.
  const renames = folders.map(([name, path]) => {
    const pattern = path.slice(1).replaceAll(/[.[\]*^$\\,]/g, '\\$&')
    return `--transform=s,^${pattern}\\(/\\|$\\),${name}\\1,S`
  })
  const words = ['-c', ...fixed, ...renames, '-C', '/', '--', ...folders.map(([, path]) => path.slice(1))]
  return bytesOf('tar', words, { timeout: 60_000, ...bareEnvironment() })
}
