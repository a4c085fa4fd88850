/** Plays a CloudStack host against a booted image: the words over the guest agent, the files over SSH, and the questions. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { locateDisk, virtualSizeOf } from '../../src/disk/disk-source.ts'
import { makeBootArguments, networksOf, renderCommandLine } from '../../src/guest/boot-arguments.ts'
import { agentPort, type Guest, startGuest } from '../../src/guest/guest.ts'
import type { RoleName } from '../../src/guest/roles.ts'
import { findFreePort } from '../../src/host/ports.ts'
import { type AcceleratorChoice, chooseAccelerator } from '../../src/qemu/accelerator.ts'
import type { GuestNetwork } from '../../src/qemu/machine.ts'
import { makeSshKey, runSsh, type SshKey, type SshResult } from '../../src/qemu/ssh.ts'
import { arch } from './image.ts'
import { kvmMachine } from './kvm-machine.ts'
import type { Packed } from './tree.ts'

export interface SystemVmOptions {
  /** Path of the image; nothing is written to it. */
  readonly image: string
  /** An existing folder with a short path, for the disk, logs and sockets. */
  readonly folder: string
  readonly role: RoleName
  /** Words beside those of the role, or in their place. */
  readonly words?: Readonly<Record<string, string>>
  readonly memoryMiB?: number
  /** The networks of its cards in their order, in place of the role's own with a way in by SSH. */
  readonly networks?: readonly GuestNetwork[]
  /** ISO file in its CD drive. */
  readonly disc?: string
  /** Disk of an earlier guest to boot again. */
  readonly again?: SystemVm
}

export interface SystemVm {
  readonly guest: Guest
  readonly key: SshKey
  readonly folder: string
  /** Runs a command as root over SSH, as the host does. A failure is a result. */
  readonly ssh: (command: string, limitSeconds?: number) => Promise<SshResult>
  /** The same, but what it prints is wanted. @throws Error where it fails */
  readonly ask: (command: string, limitSeconds?: number) => Promise<string>
  /** Copies files into a folder of the guest, with the mode that the host gives them. */
  readonly copy: (files: readonly string[], to: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Limits are generous: guests are emulated where there is no KVM, and share their processors. */
const bootLimitSeconds = 600
const sshLimitSeconds = 120

const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const never = new AbortController().signal
let acceleration: Promise<AcceleratorChoice> | undefined

function chooseOnce(): Promise<AcceleratorChoice> {
  acceleration ??= chooseAccelerator({ arch, kernels: [], cacheDir: join(outFolder, 'cache') })
  return acceleration
}

/** Boots an image in a machine like KVM's and hands it the words of its role, as the host's agent does. */
export async function startSystemVm(options: SystemVmOptions): Promise<SystemVm> {
  const { folder, role, again } = options
  mkdirSync(folder, { recursive: true })
  const key = again?.key ?? (await makeSshKey(folder))
  const bootArguments = makeBootArguments(role, key.publicKey, { scriptswait: '120', ...options.words })
  const sshPort = await findFreePort()
  const source = await locateDisk(options.image)
  const chosen = await chooseOnce()
  const guest = await startGuest({
    folder,
    backing: again?.guest.disk ?? source.node,
    diskBytes: await virtualSizeOf(source),
    model: kvmMachine,
    acceleration: chosen,
    // One emulated processor may see half of an instruction that another one changes, as Java's compiler changes its own.
    cpus: chosen.accelerator === 'kvm' ? 2 : 1,
    memoryMiB: options.memoryMiB ?? 512,
    networks: options.networks ?? networksOf(bootArguments, sshPort),
    ports: [agentPort],
    disc: options.disc,
    signal: never,
  })
  const options_ = { port: sshPort, key: key.file, signal: never }
  const ssh = (command: string, limitSeconds = sshLimitSeconds) =>
    runSsh(command, { ...options_, limitSeconds })
  const ask = async (command: string, limitSeconds?: number) => {
    const { exitCode, stdout, stderr } = await ssh(command, limitSeconds)
    if (exitCode === 0) return stdout
    throw new Error(
      `${command} ended with ${exitCode}: ${stdout}\n${stderr.split('\n').slice(-5).join('\n')}`,
    )
  }
  const copy = async (files: readonly string[], to: string) => {
    const words = ['-O', '-q', '-F', 'none', '-P', `${sshPort}`, '-i', key.file, ...scpOptions]
    await execa('scp', [...words, ...files, `root@127.0.0.1:${to}`], { timeout: sshLimitSeconds * 1000 })
    await ask(`chmod 0755 ${files.map((file) => `${to}/${file.split('/').at(-1)}`).join(' ')}`)
  }
  try {
    const agent = await guest.waitForAgent(bootLimitSeconds, bootLimitSeconds)
    await agent.writeFile('/var/cache/cloud/cmdline', renderCommandLine(bootArguments))
  } catch (error) {
    await guest.close()
    throw error
  }
  return { guest, key, folder, ssh, ask, copy, close: guest.close }
}

const scpOptions = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes'].flatMap(
  (option) => ['-o', option],
)

/** Waits for sshd, as long as the host does: 60 times 5 s. */
export async function waitForSsh(vm: SystemVm): Promise<void> {
  await retry(60, 5, async () => (await vm.ssh('true', 20)).exitCode === 0, 'SSH on port 3922')
}

/** Copies the three files in, in the host's order. */
export async function deliver(vm: SystemVm, { agent, scripts, patcher }: Packed): Promise<void> {
  await vm.copy([agent, scripts, patcher], '/var/cache/cloud')
}

/** What the host asks a storage VM and a console proxy, once a second, up to 600 times. */
export async function waitUntilPatched(vm: SystemVm): Promise<void> {
  const command = '/opt/cloud/bin/patched.sh /opt/cloud/bin/keystore*'
  await retry(600, 1, async () => (await vm.ssh(command, 20)).exitCode === 0, command)
}

/** What the management server asks of any of them: the release and the signature, once the machine is up. */
export async function templateVersion(vm: SystemVm): Promise<string> {
  return (await vm.ask('/opt/cloud/bin/get_template_version.sh', 600)).trim()
}

async function retry(
  times: number,
  everySeconds: number,
  isDone: () => Promise<boolean>,
  what: string,
): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    if (await isDone()) return
    await sleep(everySeconds * 1000)
  }
  throw new Error(`no success in ${times} tries: ${what}`)
}
