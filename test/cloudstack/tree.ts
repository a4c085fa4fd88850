/** What a CloudStack host copies into a system VM, packed from CloudStack's sources by the rules of its own build. */

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { describeUnless, describeWith } from '../support/tools.ts'

/** The three files, in the order that the host copies them. */
export interface Packed {
  readonly agent: string
  readonly scripts: string
  readonly patcher: string
  /** Digest of the scripts, which CloudStack takes for their version. */
  readonly sha512: string
}

/** Folder with CloudStack's sources; empty where there are none. */
export const cloudstackSource = process.env.CLOUDSTACK_SOURCE ?? ''

/** `describe` for tests that CloudStack's own code judges, and that may need programs of the host's. */
export function describeWithSource(
  title: string,
  define: () => void,
  programs: readonly string[] = [],
): void {
  if (cloudstackSource !== '') describeWith(programs, title, define)
  else describeUnless('CLOUDSTACK_SOURCE names no folder with the sources of CloudStack', title, define)
}

/**
 * Packs the scripts and an agent without its Java.
 *
 * @param folder an existing folder for the three files
 * @param jar a jar that stands for the agent's
 */
export function packTree(source: string, folder: string, jar?: string): Packed {
  const [scripts, agent] = [join(folder, 'cloud-scripts.tgz'), join(folder, 'agent.zip')]
  const patcher = join(folder, 'patch-sysvms.sh')
  packScripts(source, join(folder, 'scripts'), scripts)
  packAgent(source, join(folder, 'agent'), agent, jar)
  cpSync(join(source, 'systemvm/patch-sysvms.sh'), patcher)
  return { agent, scripts, patcher, sha512: createHash('sha512').update(readFileSync(scripts)).digest('hex') }
}

/** The tree `systemvm/debian` with two programs for certificates: all can be run, but what rotates logs. */
function packScripts(source: string, staging: string, file: string): void {
  cpSync(join(source, 'systemvm/debian'), staging, { recursive: true })
  const programs = join(source, 'scripts/util')
  for (const name of readdirSync(programs).filter((name) => name.startsWith('keystore-'))) {
    cpSync(join(programs, name), join(staging, 'opt/cloud/bin', name))
  }
  for (const path of filesOf(staging)) {
    const name = relative(staging, path)
    const isForLogs = basename(name).startsWith('log') || name.includes('logrotate.d/')
    chmodSync(path, isForLogs ? 0o644 : 0o755)
  }
  const words = ['--create', '--gzip', `--file=${file}`, '--owner=0', '--group=0', `--directory=${staging}`]
  execFileSync('tar', [...words, ...readdirSync(staging)])
}

function packAgent(source: string, staging: string, file: string, jar?: string): void {
  const from = (...names: readonly string[]) => join(source, ...names)
  mkdirSync(join(staging, 'scripts/util'), { recursive: true })
  mkdirSync(join(staging, 'scripts/storage'), { recursive: true })
  for (const name of readdirSync(from('scripts/util')).filter((name) => name.startsWith('keystore'))) {
    cpSync(from('scripts/util', name), join(staging, 'scripts/util', name))
  }
  cpSync(from('scripts/storage/secondary'), join(staging, 'scripts/storage/secondary'), { recursive: true })
  cpSync(from('systemvm/agent/scripts'), staging, { recursive: true })
  for (const name of ['conf', 'images', 'js', 'ui', 'css', 'certs', 'noVNC', 'packages']) {
    const folder = from('systemvm/agent', name)
    if (existsSync(folder)) cpSync(folder, join(staging, name), { recursive: true })
  }
  if (jar !== undefined) cpSync(jar, join(staging, basename(jar)))
  // Of a list of folders Python's own zip keeps the names as they are from there on.
  execFileSync('python3', ['-m', 'zipfile', '-c', file, ...readdirSync(staging)], { cwd: staging })
}

function filesOf(folder: string): readonly string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
}
