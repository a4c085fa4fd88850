/** Boots an image on the user's console, and discards what the guest writes. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DiskSource } from '../disk/disk-source.ts'
import { PipelineError } from '../errors.ts'
import { findFreePort } from '../host/ports.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import { connectAgent } from '../qemu/guest-agent.ts'
import { startQemu } from '../qemu/process.ts'
import { makeSshKey } from '../qemu/ssh.ts'
import { type DeviceModelName, deviceModels } from '../targets/registry.ts'
import { makeBootArguments, networksOf, plainNetworks, renderCommandLine } from './boot-arguments.ts'
import { agentPort, makeOverlay, oldPort } from './guest.ts'
import { guestMachine } from './machine.ts'
import type { RoleName } from './roles.ts'
import { prepareUefi } from './uefi.ts'

export interface RunRequest {
  readonly source: DiskSource
  readonly diskBytes: number
  readonly model: DeviceModelName
  readonly acceleration: AcceleratorChoice
  readonly cpus: number
  readonly memoryMiB: number
  /** The machine's role. Absent: nothing is handed over. */
  readonly role?: RoleName | undefined
  /** Boot arguments added to those of the role. */
  readonly words: Readonly<Record<string, string>>
  /** Existing folder for the disk, the key and the sockets. */
  readonly folder: string
  /** Called before the guest starts, with how to reach it. */
  readonly onStart: (ways: GuestWays) => void
  /** Called when the boot arguments have been delivered, or cannot be. */
  readonly onDelivery: (text: string) => void
  readonly signal: AbortSignal
}

/** How to reach a guest. */
export interface GuestWays {
  /** Arguments of `ssh`. */
  readonly ssh: readonly string[]
  readonly agentSocket: string
  readonly portSocket: string
  readonly qmpSocket: string
}

/** The sockets of a guest. */
export function socketsIn(folder: string): Omit<GuestWays, 'ssh'> {
  const path = (name: string) => join(folder, name)
  return { agentSocket: path('agent'), portSocket: path('vport'), qmpSocket: path('qmp') }
}

/** Returns QEMU's exit status once the guest is off. */
export async function runGuest(request: RunRequest): Promise<number> {
  const { folder, source, signal, role } = request
  const path = (name: string) => join(folder, name)
  const key = await makeSshKey(folder)
  const sshPort = await findFreePort()
  const bootArguments = role === undefined ? undefined : makeBootArguments(role, key.publicKey, request.words)
  const disk = await makeOverlay(path('disk.qcow2'), { backing: source.node, diskBytes: request.diskBytes })
  const { agentSocket, portSocket, qmpSocket } = socketsIn(folder)
  const model = deviceModels[request.model]
  const machine = guestMachine({
    ...request.acceleration,
    model,
    uefi: await prepareUefi(request.acceleration.arch, model, folder),
    cpus: request.cpus,
    memoryMiB: request.memoryMiB,
    disk,
    networks: bootArguments === undefined ? plainNetworks(sshPort) : networksOf(bootArguments, sshPort),
    ports: [
      { name: agentPort, socket: agentSocket },
      { name: oldPort, socket: portSocket },
    ],
    serial: 'terminal',
    virtioConsoleLog: path('hvc0.log'),
    qmpSocket,
    firmwareStrings: [],
  })
  const ssh = ['-p', `${sshPort}`, '-i', key.file, '-o', 'StrictHostKeyChecking=no', 'root@127.0.0.1']
  request.onStart({ ssh, agentSocket, portSocket, qmpSocket })
  const qemu = startQemu(machine)
  const over = new AbortController()
  const stop = () => void qemu.stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (bootArguments !== undefined) {
      deliverByAgent(
        agentSocket,
        renderCommandLine(bootArguments),
        AbortSignal.any([signal, over.signal]),
      ).then(
        () => request.onDelivery(`handed over: ${bootArguments.name}, ${bootArguments.type}`),
        (error: unknown) => {
          if (!over.signal.aborted)
            request.onDelivery(`nothing could be handed over: ${(error as Error).message}`)
        },
      )
    }
    const { exitCode } = await qemu.ended
    signal.throwIfAborted()
    const reason = qemu.endedFor()
    if (reason !== undefined) throw reason
    return exitCode ?? 1
  } finally {
    over.abort()
    signal.removeEventListener('abort', stop)
  }
}

/**
 * Waits for the guest agent while the guest runs, then writes the file that the guest waits for.
 * @throws the signal's reason, once the guest has ended
 */
export async function deliverByAgent(socket: string, text: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const agent = await connectAgent(socket, signal).catch(() => undefined)
    signal.throwIfAborted()
    if (agent !== undefined) {
      try {
        for (;;) {
          const answered = await agent.sync(2).then(
            () => true,
            (error: unknown) => {
              // A port that was flooded stays closed.
              if (error instanceof PipelineError) throw error
              return false
            },
          )
          signal.throwIfAborted()
          if (answered) return await agent.writeFile('/var/cache/cloud/cmdline', text)
          // A guest that has ended refuses at once: without a pause, nobody would hear of its end.
          await sleep(200, undefined, { signal })
        }
      } finally {
        agent.close()
      }
    }
    await sleep(200, undefined, { signal })
  }
}
