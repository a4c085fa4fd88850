/** Boots a file in a device model, through its own boot loader. The guest writes to a folder of its own. */

import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { BlockNode } from '../disk/block-node.ts'
import { createDisk } from '../disk/qemu-img.ts'
import { readConsole } from '../qemu/console.ts'
import { type CommandResult, connectAgent, type GuestAgent } from '../qemu/guest-agent.ts'
import { startGuestClock } from '../qemu/guest-clock.ts'
import type { Acceleration, DirectBoot, GuestNetwork } from '../qemu/machine.ts'
import { type Qemu, startQemu } from '../qemu/process.ts'
import type { Qmp } from '../qemu/qmp.ts'
import { loadState, suspend } from '../qemu/suspend.ts'
import type { DeviceModel } from '../targets/device-model.ts'
import { guestMachine } from './machine.ts'
import { prepareUefi } from './uefi.ts'
import { hasEnded, type WatchedGuest, waitForAnswer, waitForLogin } from './waiting.ts'

/** Name of the port that the guest agent serves. */
export const agentPort = 'org.qemu.guest_agent.0'

/** The port through which older CloudStack hosts delivered data, by the name that they gave it. */
export const oldPort = 's-42-VM.vport'

export interface GuestOptions {
  /** Folder for the disk, logs and sockets of this boot. Its path must be short: a socket's is at most 108 bytes. */
  readonly folder: string
  /** The disk below: the file itself, or what another boot wrote on top of it. Never written to. */
  readonly backing: BlockNode
  /** Size that the guest sees; larger than the file's if the disk is enlarged. */
  readonly diskBytes: number
  readonly model: DeviceModel
  readonly acceleration: Acceleration
  readonly cpus: number
  readonly memoryMiB: number
  readonly networks: readonly GuestNetwork[]
  /** Network namespace to run QEMU in; requires root. Absent: ours. */
  readonly namespace?: string
  /** Names of virtio-serial ports, in order. */
  readonly ports: readonly string[]
  /** @default true */
  readonly hasSerialPort?: boolean
  /** Strings in the firmware's tables. @default none */
  readonly firmwareStrings?: readonly string[]
  readonly directBoot?: DirectBoot | undefined
  /** ISO file in a CD drive. @default none */
  readonly disc?: string | undefined
  /** State left by `save`: the guest resumes from it instead of booting. */
  readonly incoming?: SavedGuest | undefined
  readonly signal: AbortSignal
}

/** A saved guest: its memory, and the disk that belongs to it. */
export interface SavedGuest {
  readonly stateFile: string
  readonly disk: BlockNode
}

export interface Guest {
  readonly options: GuestOptions
  /** Its disk, complete once the guest has ended. */
  readonly disk: BlockNode
  /** Seconds since it started or resumed, minus those in which a busy host had no processor for it. */
  readonly seconds: () => number
  /** Share of that time in which a busy host had no processor for it, from 0 to 0.9. */
  readonly waitingShare: () => number
  /** Output of the serial console, without control sequences. */
  readonly console: () => Promise<string>
  /** The same for the virtio console, if there is one. */
  readonly virtioConsole: () => Promise<string>
  /**
   * Waits for a login prompt on the serial console.
   * @throws PipelineError `guest-silent`, `guest-ended`, or the code of a console sign after which nothing follows
   */
  readonly waitForLogin: (limitSeconds: number) => Promise<void>
  /**
   * Waits until the guest agent responds, and no longer than `graceSeconds` after a login prompt.
   * @throws the same, or `agent-silent`
   */
  readonly waitForAgent: (limitSeconds: number, graceSeconds: number) => Promise<GuestAgent>
  /** Runs a shell command through the guest agent. */
  readonly run: (command: string, limitSeconds?: number) => Promise<CommandResult>
  /** Writes to a virtio-serial port by name. */
  readonly send: (port: string, text: string) => Promise<void>
  readonly qmp: Qmp
  /** Whether QEMU ends within the limit, as it does when the guest powers off. */
  readonly hasEnded: (limitSeconds: number) => Promise<boolean>
  /** Takes a screenshot. Returns its path; undefined if QEMU cannot. */
  readonly screenshot: () => Promise<string | undefined>
  /** Stops the guest for good and saves its state, so that others can resume from it. */
  readonly save: () => Promise<SavedGuest>
  /** Kills it at once. */
  readonly close: () => Promise<void>
}

/** @throws PipelineError `qemu-ended` with QEMU's output */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const { folder, signal } = options
  const path = (name: string) => join(folder, name)
  const disk = await makeOverlay(path('disk.qcow2'), options)
  const clock = startGuestClock()
  const machine = guestMachine({
    ...options,
    ...options.acceleration,
    disk,
    uefi: await prepareUefi(options.acceleration.arch, options.model, folder),
    ports: options.ports.map((name, index) => ({ name, socket: path(`port${index}`) })),
    serial: options.hasSerialPort === false ? 'none' : { file: path('serial.log') },
    virtioConsoleLog: path('hvc0.log'),
    qmpSocket: path('qmp'),
    firmwareStrings: options.firmwareStrings ?? [],
    savesStates: true,
    awaitsState: options.incoming !== undefined,
  })
  const qemu = startQemu(machine, { namespace: options.namespace })
  const qmp = await connectOrStop(qemu, async () => {
    const connection = await qemu.connect(signal)
    await clock.follow(connection)
    if (options.incoming !== undefined) await loadState(connection, options.incoming.stateFile, signal)
    return connection
  })
  let agent: GuestAgent | undefined

  const portSocket = (name: string) => path(`port${options.ports.indexOf(name)}`)
  const watched: WatchedGuest = {
    clock,
    consoleText: () => readConsole(path('serial.log')),
    isRunning: qemu.isRunning,
    endedFor: qemu.endedFor,
    signal,
  }
  return {
    options,
    disk,
    seconds: clock.seconds,
    waitingShare: clock.waitingShare,
    console: watched.consoleText,
    virtioConsole: () => readConsole(path('hvc0.log')),
    waitForLogin: (limitSeconds) => waitForLogin(watched, limitSeconds),
    waitForAgent: async (limitSeconds, graceSeconds) => {
      agent ??= await connectAgent(portSocket(agentPort), signal, clock)
      await waitForAnswer(watched, agent, { limitSeconds, graceSeconds })
      return agent
    },
    run: async (command, limitSeconds) => {
      if (agent === undefined) throw new Error('the guest agent is not connected')
      return agent.run(command, limitSeconds)
    },
    send: (port, text) => sendTo(portSocket(port), text),
    qmp,
    hasEnded: (limitSeconds) => hasEnded(watched, limitSeconds),
    screenshot: () => takePicture(qmp, path('screen')),
    save: async () => {
      const stateFile = path('state')
      agent?.close()
      await suspend(qmp, stateFile, signal)
      await qmp.execute('quit').catch(() => undefined)
      await qemu.ended
      return { stateFile, disk }
    },
    close: async () => {
      agent?.close()
      await qemu.stop()
    },
  }
}

/** Stops a QEMU that cannot be connected to: the caller does not yet have a guest to close. */
async function connectOrStop(qemu: Qemu, connect: () => Promise<Qmp>): Promise<Qmp> {
  try {
    return await connect()
  } catch (error) {
    await qemu.stop()
    throw error
  }
}

/** A disk for a guest's writes, on top of one that stays unchanged. */
export async function makeOverlay(
  file: string,
  { backing, diskBytes }: Pick<GuestOptions, 'backing' | 'diskBytes'>,
): Promise<BlockNode> {
  await createDisk(file, diskBytes)
  return {
    driver: 'qcow2',
    file: { driver: 'file', filename: file },
    // It is not needed after a power failure.
    cache: { 'no-flush': true },
    backing: { ...backing, 'read-only': true },
  }
}

/**
 * Keeps the connection open until the guest has ended: since 2.12, when the host hangs up, QEMU discards what the guest has
 * not read, which broke CloudStack's patching through this port.
 */
async function sendTo(socketPath: string, text: string): Promise<void> {
  const socket = connect(socketPath)
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  socket.resume()
  await new Promise((resolve) => socket.write(text, resolve))
  socket.unref()
}

async function takePicture(qmp: Qmp, path: string): Promise<string | undefined> {
  // QEMU before 7.1 cannot write PNG.
  for (const [name, format] of [
    [`${path}.png`, { format: 'png' }],
    [`${path}.ppm`, {}],
  ] as const) {
    const taken = await qmp.execute('screendump', { filename: name, ...format }).then(
      () => stat(name),
      () => undefined,
    )
    if (taken !== undefined) return name
  }
  return undefined
}
