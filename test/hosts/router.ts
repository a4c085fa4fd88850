/** A router of the smallest size, booted from a disk that a test has prepared. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BlockNode } from '../../src/disk/block-node.ts'
import { makeBootArguments, networksOf, renderCommandLine } from '../../src/guest/boot-arguments.ts'
import { agentPort, type Guest, type SavedGuest, startGuest } from '../../src/guest/guest.ts'
import { findFreePort } from '../../src/host/ports.ts'
import type { AcceleratorChoice } from '../../src/qemu/accelerator.ts'
import { makeSshKey, runSsh, type SshKey } from '../../src/qemu/ssh.ts'
import { deviceModels } from '../../src/targets/registry.ts'

export interface Host {
  /** Short, for the sake of sockets. */
  readonly folder: string
  readonly acceleration: AcceleratorChoice
  readonly key: SshKey
  /** A time limit on this host, which is patient where a guest is emulated. */
  readonly limit: (seconds: number) => number
}

export interface Router extends Guest {
  /** Waits for the guest agent, and hands over what a router is told. */
  readonly bootArguments: () => Promise<void>
  /** Waits until first boot has ended. */
  readonly becomeReady: () => Promise<void>
  /** What a command prints that is run by SSH, as the management server does. */
  readonly ssh: (command: string) => Promise<string>
}

const { signal } = new AbortController()

export async function makeHost(folder: string, acceleration: AcceleratorChoice): Promise<Host> {
  const patience = acceleration.accelerator === 'tcg' ? 6 : 1
  const key = await makeSshKey(folder)
  return { folder, acceleration, key, limit: (seconds) => seconds * patience }
}

/** @param disk what is booted, and is not written to; or a guest to go on from */
export async function bootRouter(
  { folder, acceleration, key, limit }: Host,
  name: string,
  disk: BlockNode | SavedGuest,
  diskBytes: number,
): Promise<Router> {
  const handed = makeBootArguments('router', key.publicKey)
  const port = await findFreePort()
  await mkdir(join(folder, name))
  const saved = 'stateFile' in disk ? (disk as SavedGuest) : undefined
  const guest = await startGuest({
    folder: join(folder, name),
    backing: saved?.disk ?? (disk as BlockNode),
    incoming: saved,
    diskBytes,
    model: deviceModels.virtio,
    acceleration,
    cpus: 1,
    memoryMiB: 256,
    networks: networksOf(handed, port),
    ports: [agentPort],
    signal,
  })
  const bootArguments = async () => {
    const agent = await guest.waitForAgent(limit(60) + 60, limit(10))
    await agent.writeFile('/var/cache/cloud/cmdline', renderCommandLine(handed))
  }
  const becomeReady = async () => {
    const asked = 'test -e /var/cache/cloud/boot_up_done && systemctl is-active cloud-postinit'
    for (const end = guest.seconds() + limit(240); guest.seconds() < end; ) {
      if ((await guest.run(asked)).stdout.trim() === 'active') return
      await sleep(1000)
    }
    const { stdout } = await guest.run(
      'tail -n 5 /var/log/cloud.log; systemctl list-jobs; systemctl --failed',
    )
    throw new Error(`no boot_up_done within ${limit(240)} s: ${stdout}`)
  }
  const ssh = async (command: string) => {
    const result = await runSsh(command, { port, key: key.file, limitSeconds: limit(20), signal })
    if (result.exitCode !== 0) throw new Error(result.stderr)
    return result.stdout.trim()
  }
  return { ...guest, bootArguments, becomeReady, ssh }
}
