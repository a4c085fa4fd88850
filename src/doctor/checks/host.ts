/** Checks the host itself: its system, memory, and user namespaces. */

import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import type { Arch } from '../../arch.ts'
import { exitCodes, PipelineError } from '../../errors.ts'
import { type Account, findAccount } from '../../host/account.ts'
import { execa } from '../../host/execa.ts'
import { isAtLeast } from '../../host/tools.ts'
import { chooseAccelerator } from '../../qemu/accelerator.ts'
import { type Finding, fault, type HostInput, ok, warning } from '../check.ts'

export function checkSystem(): Finding {
  const found = `${process.platform} ${release()} on ${process.arch}`
  if (process.platform !== 'linux') return fault(found, 'build on Linux: Debian 12 or Ubuntu 24.04.')
  if (process.arch === 'x64' || process.arch === 'arm64') return ok(found)
  return warning(found, 'this architecture has not been tested.')
}

/** Oldest supported Node.js. */
const minimumNode = '18.19'

export function checkNode(version: string): Finding {
  if (isAtLeast(version, minimumNode)) return ok(version)
  return fault(`${version}, ${minimumNode} or newer is needed`, 'run ./setup.sh, or install a newer one.')
}

export async function checkMemory(neededMiB: number): Promise<Finding> {
  const text = await readFile('/proc/meminfo', 'utf8')
  const availableMiB = Math.floor(Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024)
  const found = `${availableMiB} MiB available`
  if (availableMiB >= neededMiB) return ok(found)
  return warning(`${found}, ${neededMiB} MiB needed`, 'close other programs, or lower machine.memoryMiB.')
}

/** OpenSSH and newuidmap look up the user who runs them, and refuse one that has only a number. */
export function checkAccount({ name, text }: Account): Finding {
  if (name !== undefined) return ok(name)
  const error = new PipelineError({
    code: 'no-account',
    message: `${text} has no entry in the user database, and ssh refuses to run without one`,
    hint: 'run as a user of /etc/passwd, or add a line there: builder:x:UID:GID::/tmp:/bin/sh',
    exitCode: exitCodes.hostNotFit,
  })
  return fault(error.message, error.hint ?? '', error)
}

/** A bootstrap without root needs its own user namespace, and a range of users to map into it. */
export async function checkNamespaces(signal: AbortSignal | undefined): Promise<Finding> {
  const { name, text: username } = findAccount()
  const owners = [...(name === undefined ? [] : [name]), `${process.getuid?.()}`]
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    const text = await readFile(file, 'utf8').catch(() => '')
    if (!text.split('\n').some((line) => owners.includes(line.split(':')[0] ?? ''))) {
      const advice =
        name === undefined
          ? 'it needs an account first.'
          : `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`
      return fault(`${username} has no range in ${file}`, advice)
    }
  }
  const result = await execa('unshare', ['--user', '--map-root-user', 'true'], {
    reject: false,
    timeout: 10_000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (!result.failed) return ok(`${username} can create them`)
  const restricted = await readFile('/proc/sys/kernel/apparmor_restrict_unprivileged_userns', 'utf8').then(
    (text) => text.trim() === '1',
    () => false,
  )
  return fault(
    `${username} cannot create one: ${result.stderr.trim() || result.shortMessage}`,
    restricted
      ? 'AppArmor forbids it (Ubuntu 24.04): sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or build as root.'
      : 'sudo sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000, or build as root.',
  )
}

export async function checkAccelerator(arch: Arch, cacheDir: string, input: HostInput): Promise<Finding> {
  const { accelerator, cpu, reason, proven } = await chooseAccelerator({
    arch,
    kernels: input.kernels ?? [],
    cacheDir,
    force: input.forceAccelerator,
    signal: input.signal,
  })
  if (input.forceAccelerator !== undefined) return ok(`${accelerator} (${cpu}), ${reason}`)
  if (accelerator === 'kvm') return ok(reason)
  if (!proven) return warning(reason, 'the first build will test it.')
  return warning(`tcg (${cpu}): ${reason}`, 'guests are emulated: the same images, but much slower.')
}
