/** Whether this host and its mirrors are fit to build, found out before anything is built. */

import { access, constants, readFile, statfs } from 'node:fs/promises'
import { release, userInfo } from 'node:os'
import { dirname, resolve } from 'node:path'
import { execa } from 'execa'
import type { Arch } from '../arch.ts'
import { udebArchiveOf } from '../debian/archives.ts'
import { verifyRelease } from '../debian/release.ts'
import { messageOf, PipelineError } from '../errors.ts'
import { findTools, isAtLeast } from '../host/tools.ts'
import { chooseAccelerator } from '../qemu/accelerator.ts'
import {
  type CheckStatus,
  type DoctorCheck,
  type DoctorInput,
  type Finding,
  fault,
  ok,
  plural,
  warning,
} from './finding.ts'
import { debianKeyring } from './host-packages.ts'
import { checkMirror, findUdebs, mirrorRequests, ownUdebs } from './mirrors.ts'

export interface DoctorReport {
  readonly checks: readonly DoctorCheck[]
  /** Whether a build may be started: there is no fault. Warnings cost time, not the build. */
  readonly isFit: boolean
}

/** Makes every check, all at once. Throws only when `signal` is aborted: a check that fails is a fault in the report. */
export async function diagnose(input: DoctorInput): Promise<DoctorReport> {
  const archs = unique(input.images.map((image) => image.arch))
  const keyrings = unique(input.images.map((image) => image.mirror.keyring))
  const groups = await Promise.all([
    guarded('system', 'system', () => checkSystem()),
    guarded('node', 'Node.js', () => checkNode(process.versions.node)),
    ...(archs.length === 0 ? (['x86_64'] as const) : archs).map((arch) =>
      guarded('tools', 'tools', () => checkTools(arch)),
    ),
    guarded('out-writable', 'output', () => checkWritable(input.outDir)),
    guarded('disk-space', 'disk space', () => checkSpace(input.outDir, input.neededBytes)),
    guarded('memory', 'memory', () => checkMemory(input.neededMemoryMiB ?? 2560)),
    ...(process.getuid?.() === 0
      ? []
      : [guarded('user-namespaces', 'namespaces', () => checkNamespaces(input))]),
    ...keyrings.map((path) => guarded(`keyring:${path}`, 'keyring', () => checkKeyring(path))),
    ...archs.map((arch) =>
      guarded(`accelerator:${arch}`, 'accelerator', () => checkAccelerator(arch, input)),
    ),
    ...mirrorRequests(input.images).map((request) =>
      guarded(`mirror:${request.suite}`, request.suite, () => checkMirror(request, input)),
    ),
    ...ownUdebs(input.images).map((image) =>
      guarded(`udebs:${image.suite}`, 'udebs', async () => {
        const request = udebArchiveOf(image)
        const verified = await verifyRelease(request, { signal: input.signal })
        return findUdebs(request, verified, input)
      }),
    ),
  ])
  input.signal?.throwIfAborted()
  const checks = groups.flat()
  return { checks, isFit: checks.every((check) => check.status !== 'fault') }
}

const marks = { ok: ['✔', 32], warning: ['!', 33], fault: ['✖', 31] } as const

/** The report as aligned text, one check a line, advice below it. */
export function renderDoctor(report: DoctorReport, { color }: { readonly color: boolean }): string {
  const width = Math.max(...report.checks.map((check) => check.title.length))
  const paint = (text: string, code: number) => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
  const lines = report.checks.flatMap(({ title, status, found, advice }) => {
    const [mark, code] = marks[status]
    const indent = ' '.repeat(width + 4)
    const text = found.replaceAll('\n', `\n${indent}`)
    const first = `${paint(mark, code)} ${title.padEnd(width)}  ${text}`
    return advice === undefined ? [first] : [first, `${indent}→ ${advice}`]
  })
  const count = (status: CheckStatus) => report.checks.filter((check) => check.status === status).length
  const [faults, warnings] = [count('fault'), count('warning')]
  const verdict = report.isFit ? 'fit to build' : 'not fit to build'
  return `${[...lines, '', `${verdict}: ${plural(faults, 'fault')}, ${plural(warnings, 'warning')}`].join('\n')}\n`
}

// --- the checks ---

async function guarded(
  id: string,
  title: string,
  check: () => Finding | readonly DoctorCheck[] | Promise<Finding | readonly DoctorCheck[]>,
): Promise<readonly DoctorCheck[]> {
  try {
    const result = await check()
    return 'status' in result ? [{ id, title, ...result }] : result
  } catch (error) {
    const advice = error instanceof PipelineError ? error.hint : 'this check itself failed, which is a bug.'
    const found = messageOf(error)
    return [{ id, title, status: 'fault', found, advice }]
  }
}

function checkSystem(): Finding {
  const found = `${process.platform} ${release()} on ${process.arch}`
  if (process.platform !== 'linux') return fault(found, 'build on Linux: Debian 12 or Ubuntu 24.04.')
  if (process.arch === 'x64' || process.arch === 'arm64') return ok(found)
  return warning(found, 'this architecture was never tried.')
}

/** Oldest Node.js that this product runs on. */
const minimumNode = '18.19'

function checkNode(version: string): Finding {
  if (isAtLeast(version, minimumNode)) return ok(version)
  return fault(`${version}, needed is ${minimumNode} or newer`, 'run ./setup.sh, or install a newer one.')
}

async function checkTools(arch: Arch): Promise<readonly DoctorCheck[]> {
  const { found, faults } = await findTools({ arch })
  const names = found.map(({ tool, version }) =>
    version === undefined ? tool.name : `${tool.name} ${version}`,
  )
  const summary = names.length === 0 ? [] : [{ id: 'tools', title: 'tools', ...ok(names.join(', ')) }]
  const lacking = faults.map((lack) => {
    const say = lack.tool.need === 'optional' ? warning : fault
    return {
      id: `tool:${lack.tool.name}`,
      title: 'tools',
      ...say(
        `${lack.needed} is needed, found ${lack.found}`,
        lack.package === undefined ? lack.remedy : `npm run setup installs ${lack.package}.`,
      ),
    }
  })
  return [...summary, ...lacking]
}

async function checkWritable(folder: string): Promise<Finding> {
  const existing = await nearestExisting(folder)
  const isWritable = await access(existing, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  if (isWritable) return ok(folder)
  return fault(`${existing} is not writable for ${userInfo().username}`, 'give it to the user who builds.')
}

async function checkSpace(folder: string, neededBytes: number): Promise<Finding> {
  const existing = await nearestExisting(folder)
  const { bavail, bsize } = await statfs(existing)
  const found = `${gibibytes(bavail * bsize)} free in ${existing}`
  if (bavail * bsize >= neededBytes) return ok(found)
  return fault(
    `${found}, ${gibibytes(neededBytes)} needed`,
    'free some there, or build on another filesystem.',
  )
}

async function checkMemory(neededMiB: number): Promise<Finding> {
  const text = await readFile('/proc/meminfo', 'utf8')
  const availableMiB = Math.floor(Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024)
  const found = `${availableMiB} MiB available`
  if (availableMiB >= neededMiB) return ok(found)
  return warning(`${found}, ${neededMiB} MiB wanted`, 'end other programs, or lower machine.memoryMiB.')
}

/** What a bootstrap without root needs: a namespace of its own, and a range of users to have in it. */
async function checkNamespaces({ signal }: DoctorInput): Promise<Finding> {
  const { username } = userInfo()
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (!text.split('\n').some((line) => line.startsWith(`${username}:`))) {
      const advice = `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`
      return fault(`${username} has no range in ${file}`, advice)
    }
  }
  const result = await execa('unshare', ['--user', '--map-root-user', 'true'], {
    reject: false,
    timeout: 10_000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (!result.failed) return ok(`${username} may make them`)
  const restricted = await readFile('/proc/sys/kernel/apparmor_restrict_unprivileged_userns', 'utf8').then(
    (text) => text.trim() === '1',
    () => false,
  )
  return fault(
    `${username} may not make one: ${result.stderr.trim() || result.shortMessage}`,
    restricted
      ? 'AppArmor forbids it (Ubuntu 24.04): sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or build as root.'
      : 'sudo sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000, or build as root.',
  )
}

async function checkKeyring(path: string): Promise<Finding> {
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
  if (isReadable) return ok(path)
  const advice =
    path === debianKeyring.path
      ? `npm run setup installs ${debianKeyring.package}.`
      : 'put the keyring there, or change mirror.keyring.'
  return fault(`${path} cannot be read`, advice)
}

async function checkAccelerator(arch: Arch, input: DoctorInput): Promise<Finding> {
  const { accelerator, cpu, reason, proven } = await chooseAccelerator({
    arch,
    kernels: input.kernels,
    cacheDir: input.cacheDir,
    force: input.forceAccelerator,
    signal: input.signal,
  })
  if (input.forceAccelerator !== undefined) return ok(`${accelerator} (${cpu}), ${reason}`)
  if (accelerator === 'kvm') return ok(reason)
  if (!proven) return warning(reason, 'it will be proved at the first build.')
  return warning(`tcg (${cpu}): ${reason}`, 'guests are emulated: the same images, much later.')
}

// --- internal ---

async function nearestExisting(path: string): Promise<string> {
  const full = resolve(path)
  const exists = await access(full).then(
    () => true,
    () => false,
  )
  return exists || dirname(full) === full ? full : nearestExisting(dirname(full))
}

function unique<T>(values: readonly T[]): readonly T[] {
  return [...new Set(values)]
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
