/** Boots a throwaway copy of a layer, without Packer, and runs a shell or a command in it. */

import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ResolvedImage } from '../config/resolved.ts'
import { readBootFiles } from '../disk/boot-files.ts'
import type { Layout } from '../disk/layout.ts'
import { rootUuidOf } from '../disk/layout.ts'
import { createOverlay } from '../disk/qemu-img.ts'
import { PipelineError } from '../errors.ts'
import { findFreePort } from '../host/ports.ts'
import { createScratchFolder, type ScratchFolder } from '../host/scratch-folder.ts'
import type { Acceleration } from '../qemu/machine.ts'
import { startQemu } from '../qemu/process.ts'
import { openSshShell } from '../qemu/ssh.ts'
import { buildUnit, makeBuildAgent } from './agent.ts'
import { buildKernelArguments, buildMachine } from './build-machine.ts'
import { guestVanished } from './failures.ts'
import { type GuestWatch, watchGuest } from './guest-watch.ts'

export interface ShellRequest {
  readonly image: ResolvedImage
  readonly layout: Layout
  /** qcow2 of the layer; never written to. */
  readonly disk: string
  /** Command to run instead of a login shell. */
  readonly command: readonly string[]
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  /** Called when the guest is up. */
  readonly onReady: () => void
  readonly signal: AbortSignal
}

/**
 * Returns the exit status of the shell or the command.
 * @throws PipelineError if the guest does not come up, with the console's last lines
 */
export async function openShell(request: ShellRequest): Promise<number> {
  const scratch = await createScratchFolder()
  try {
    return await runShell(request, scratch)
  } finally {
    await scratch.remove()
  }
}

async function runShell(request: ShellRequest, scratch: ScratchFolder): Promise<number> {
  const { image, layout } = request
  const bootFiles = await readBootFiles(request.disk, layout, join(scratch.folder, 'boot'))
  const acceleration = await request.acceleration(bootFiles.kernel)
  const agent = await makeBuildAgent(
    join(scratch.folder, 'agent'),
    bootFiles.initrd,
    [],
    image.sourceDateEpoch,
  )
  const disk = join(scratch.folder, 'disk.qcow2')
  await createOverlay({ file: disk, backing: request.disk })
  const serialLog = join(scratch.folder, 'serial.log')
  const port = await findFreePort()
  const machine = buildMachine({
    ...acceleration,
    ...image.machine,
    disk,
    kernel: bootFiles.kernel,
    initrd: agent.initrd,
    kernelArguments: buildKernelArguments(image.arch, rootUuidOf(layout), buildUnit),
    serialLog,
    qmpSocket: scratch.qmpSocket,
    channelSocket: scratch.channelSocket,
    sshPort: port,
    // Someone may want to try a package.
    isOpen: true,
  })
  const qemu = startQemu(machine)
  let watch: GuestWatch | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      request.signal.addEventListener('abort', () => reject(request.signal.reason), { once: true })
      qemu.untilEnd().catch(reject)
      watch = watchGuest({
        serialLog,
        qmpSocket: scratch.qmpSocket,
        storeFolder: scratch.folder,
        bootTimeoutSeconds: image.machine.bootTimeoutSeconds,
        onEvent: (event) => {
          if (event.kind === 'guest-ready') resolve()
          else if (event.kind === 'guest-failed') reject(event.error)
          else if (event.kind === 'qemu-ended') reject(guestVanished(undefined, event.console))
        },
      })
    })
    watch?.endBoot()
    await waitForBanner(port, request.signal)
    request.onReady()
    return await openSshShell({ key: agent.privateKey, port }, request.command)
  } finally {
    // The guest's writes are discarded: there is no reason to shut it down cleanly.
    await qemu.stop()
    await watch?.close()
  }
}

/** The unit reports ready a moment before its sshd listens; until then, connections are accepted and dropped. */
async function waitForBanner(port: number, signal: AbortSignal): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    signal.throwIfAborted()
    const socket = connect(port, '127.0.0.1')
    const greeting = await Promise.race([
      once(socket, 'data').then(([bytes]) => String(bytes)),
      once(socket, 'close').then(() => ''),
    ]).catch(() => '')
    socket.destroy()
    if (greeting.startsWith('SSH-')) return
    await sleep(200)
  }
  throw new PipelineError({
    code: 'guest-no-access',
    message: 'the guest is up, but its SSH server has not answered for 30 s',
    hint: 'build the layer below again with --from.',
  })
}
