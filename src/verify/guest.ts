/** A file booted in a device model, through its own boot loader. What the guest writes goes into a folder of its own. */

import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { execa } from 'execa'
import type { BlockNode } from '../disk/disk-source.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { startGroup } from '../host/process.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import { type CommandResult, connectAgent, type GuestAgent } from '../qemu/guest-agent.ts'
import { connectQmp, type Qmp } from '../qemu/qmp.ts'
import type { DeviceModel } from '../targets/device-model.ts'
import { type DirectBoot, type GuestNetwork, guestArguments } from './device-models.ts'

/** Name of the port that the guest agent serves. */
export const agentPort = 'org.qemu.guest_agent.0'

export interface GuestOptions {
  /** Folder for the disk, logs and sockets of this boot. Its path must be short: a socket's has 108 bytes at most. */
  readonly folder: string
  /** The disk below: the file itself, or what another boot has written over it. Nothing is written to it. */
  readonly backing: BlockNode
  /** Size that the guest sees; more than the file's for a disk that was enlarged. */
  readonly diskBytes: number
  readonly model: DeviceModel
  readonly acceleration: Pick<AcceleratorChoice, 'accelerator' | 'cpu'>
  readonly cpus: number
  readonly memoryMiB: number
  readonly networks: readonly GuestNetwork[]
  /** Network namespace that QEMU runs in, which only root may have it do. Absent: ours. */
  readonly namespace?: string
  /** Names of virtio-serial ports in their order. */
  readonly ports: readonly string[]
  /** @default true */
  readonly hasSerialPort?: boolean
  /** Strings in the firmware's tables. @default none */
  readonly firmwareStrings?: readonly string[]
  readonly directBoot?: DirectBoot | undefined
  /** ISO file in a CD drive. @default none */
  readonly disc?: string | undefined
  /** What `save` has left: the guest goes on from there instead of booting. */
  readonly incoming?: SavedGuest | undefined
  readonly signal: AbortSignal
}

/** A guest that was stopped: its memory, and the disk that belongs to it. */
export interface SavedGuest {
  readonly stateFile: string
  readonly disk: BlockNode
}

export interface Guest {
  readonly options: GuestOptions
  /** What its disk is once it has ended. */
  readonly disk: BlockNode
  /** Seconds since it was started, or went on. */
  readonly seconds: () => number
  /** What the serial console has said, without colours. */
  readonly console: () => Promise<string>
  /** The same of the virtio console, where there is one. */
  readonly virtioConsole: () => Promise<string>
  /** Waits for a text on the serial console. @throws PipelineError `guest-silent`, `guest-stuck`, `guest-panicked`, `guest-ended` */
  readonly waitForConsole: (pattern: RegExp, limitSeconds: number) => Promise<void>
  /**
   * Waits until the guest agent answers, and no longer than `graceSeconds` after a login prompt.
   * @throws the same, or `agent-silent`
   */
  readonly waitForAgent: (limitSeconds: number, graceSeconds: number) => Promise<GuestAgent>
  /** Runs a shell command by the guest agent. */
  readonly run: (command: string, limitSeconds?: number) => Promise<CommandResult>
  /** Writes to a virtio-serial port, by its name. */
  readonly send: (port: string, text: string) => Promise<void>
  readonly qmp: Qmp
  /** Whether QEMU has ended by then, as it does when the guest powers off. */
  readonly hasEnded: (limitSeconds: number) => Promise<boolean>
  /** Takes a picture of the screen. Returns its path; undefined where QEMU cannot. */
  readonly screenshot: () => Promise<string | undefined>
  /** Stops the guest for good, and keeps its state so that others can go on from there. */
  readonly save: () => Promise<SavedGuest>
  /** Ends it at once. */
  readonly close: () => Promise<void>
}

const pollMs = 250
const qmpLimitMs = 30_000
const shownLines = 20

/** After one of these lines nothing comes any more: the guest waits for somebody at its console. */
const stuckSigns = /^.*(ALERT!.*does not exist|You are in (emergency|rescue) mode|Give root password for).*$/m

/** @throws PipelineError `qemu-ended` with what it said */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const { folder, signal } = options
  const path = (name: string) => join(folder, name)
  const disk = await makeOverlay(path('disk.qcow2'), options)
  const said: string[] = []
  const started = performance.now()
  const words = guestArguments({
    ...options,
    ...options.acceleration,
    disk,
    ports: options.ports.map((name, index) => ({ name, socket: path(`port${index}`) })),
    serial: options.hasSerialPort === false ? 'none' : { file: path('serial.log') },
    virtioConsoleLog: path('hvc0.log'),
    qmpSocket: path('qmp'),
    firmwareStrings: options.firmwareStrings ?? [],
    incoming: options.incoming?.stateFile,
  })
  const [program, ...before] = inNamespace(options.namespace, 'qemu-system-x86_64')
  const qemu = startGroup(program, [...before, ...words], { onLine: (line) => said.push(line) })
  let isRunning = true
  void qemu.ended.then(() => {
    isRunning = false
  })
  const qmp = await connectOrEnd()
  let agent: GuestAgent | undefined

  async function connectOrEnd(): Promise<Qmp> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(qmpLimitMs)])
    const ended = qemu.ended.then(({ exitCode, signal: killer }) => {
      throw qemuEnded(exitCode ?? killer, said)
    })
    const connected = connectQmp(path('qmp'), limit).catch(async (error: unknown) => {
      // What QEMU says when it ends tells more than a connection that broke off.
      if (!limit.aborted) await Promise.race([ended, sleep(1000)])
      throw error
    })
    try {
      return await Promise.race([connected, ended])
    } catch (error) {
      await qemu.stop(0)
      throw error
    } finally {
      ended.catch(() => undefined)
    }
  }

  const readLog = async (name: string) =>
    stripVTControlCharacters(await readFile(path(name), 'utf8').catch(() => '')).replaceAll('\r', '')
  const consoleText = () => readLog('serial.log')
  const seconds = () => (performance.now() - started) / 1000

  /** Fails as soon as there is nothing to wait for any more. */
  const requireAlive = async (): Promise<void> => {
    signal.throwIfAborted()
    const text = await consoleText()
    if (/Kernel panic - not syncing/.test(text))
      throw guestFailed('guest-panicked', 'the kernel panicked', text)
    const stuck = stuckSigns.exec(text)?.[0]
    if (stuck !== undefined) throw guestFailed('guest-stuck', `the boot is stuck: ${stuck.trim()}`, text)
    if (!isRunning) throw guestFailed('guest-ended', 'the guest powered off or QEMU ended', text)
  }

  const waitForConsole = async (pattern: RegExp, limitSeconds: number): Promise<void> => {
    for (const end = Date.now() + limitSeconds * 1000; Date.now() < end; ) {
      if (pattern.test(await consoleText())) return
      await requireAlive()
      await sleep(pollMs, undefined, { signal })
    }
    const what = `no ${pattern} on the serial console within ${limitSeconds} s`
    throw guestFailed('guest-silent', what, await consoleText())
  }

  const waitForAgent = async (limitSeconds: number, graceSeconds: number): Promise<GuestAgent> => {
    agent ??= await connectAgent(path(`port${options.ports.indexOf(agentPort)}`), signal)
    const started = Date.now()
    let upSince: number | undefined
    for (const end = started + limitSeconds * 1000; Date.now() < end; ) {
      await requireAlive()
      const answered = await agent.sync(2).then(
        () => true,
        () => false,
      )
      if (answered) return agent
      // A guest that asks for a name has started all that it starts by itself.
      if (/ login:/.test(await consoleText())) upSince ??= Date.now()
      if (upSince !== undefined && Date.now() - upSince > graceSeconds * 1000) break
    }
    const what = `the guest agent has not answered within ${Math.round((Date.now() - started) / 1000)} s`
    throw guestFailed('agent-silent', what, await consoleText())
  }

  const hasEnded = async (limitSeconds: number): Promise<boolean> => {
    for (const end = Date.now() + limitSeconds * 1000; isRunning && Date.now() < end; ) {
      await sleep(pollMs, undefined, { signal })
    }
    return !isRunning
  }

  const save = async (): Promise<SavedGuest> => {
    const stateFile = path('state')
    agent?.close()
    await qmp.execute('stop')
    await qmp.execute('migrate', { uri: `exec:cat >'${stateFile}'` })
    await finishMigration(qmp, signal)
    await qmp.execute('quit').catch(() => undefined)
    await qemu.ended
    return { stateFile, disk }
  }

  if (options.incoming !== undefined) await goOn(qmp, signal)
  return {
    options,
    disk,
    seconds,
    console: consoleText,
    virtioConsole: () => readLog('hvc0.log'),
    waitForConsole,
    waitForAgent,
    run: async (command, limitSeconds) => {
      if (agent === undefined) throw new Error('the guest agent is not connected')
      return agent.run(command, limitSeconds)
    },
    send: (port, text) => sendTo(path(`port${options.ports.indexOf(port)}`), text),
    qmp,
    hasEnded,
    screenshot: () => takePicture(qmp, path('screen')),
    save,
    close: async () => {
      agent?.close()
      qmp.close()
      await qemu.stop(0)
    },
  }
}

/** What has a program run in a network namespace. It replaces itself by the program, whose signals are then its own. */
function inNamespace(name: string | undefined, program: string): readonly [string, ...string[]] {
  return name === undefined ? [program] : ['ip', 'netns', 'exec', name, program]
}

/** A disk that takes the writes of a guest, over one that takes none. */
export async function makeOverlay(
  file: string,
  { backing, diskBytes }: Pick<GuestOptions, 'backing' | 'diskBytes'>,
): Promise<BlockNode> {
  await execa('qemu-img', ['create', '-q', '-f', 'qcow2', file, `${diskBytes}`])
  return {
    driver: 'qcow2',
    file: { driver: 'file', filename: file },
    // Nobody needs it after a power cut.
    cache: { 'no-flush': true },
    backing: { ...backing, 'read-only': true },
  }
}

/**
 * The connection stays open until the guest has ended: QEMU from 2.12 on throws away what the guest has not read yet when
 * the host hangs up, which is how CloudStack's patching by this port broke.
 */
async function sendTo(socketPath: string, text: string): Promise<void> {
  const socket = connect(socketPath)
  socket.on('error', () => socket.destroy())
  await once(socket, 'connect')
  socket.resume()
  await new Promise((resolve) => socket.write(text, resolve))
  socket.unref()
}

async function finishMigration(qmp: Qmp, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { status } = (await qmp.execute('query-migrate')) as { readonly status?: string }
    if (status === 'completed') return
    if (status === 'failed') throw new Error('QEMU could not keep the state of the guest')
    await sleep(pollMs, undefined, { signal })
  }
}

async function goOn(qmp: Qmp, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { status } = (await qmp.execute('query-status')) as { readonly status: string }
    if (status !== 'inmigrate') break
    await sleep(pollMs, undefined, { signal })
  }
  await qmp.execute('cont')
}

async function takePicture(qmp: Qmp, path: string): Promise<string | undefined> {
  // QEMU before 7.1 knows no PNG.
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

function guestFailed(code: string, message: string, consoleText: string): PipelineError {
  return new PipelineError({
    code,
    message,
    hint: "the serial console's last lines are below.",
    exitCode: exitCodes.verificationFailed,
    details: { lastLines: consoleText.trimEnd().split('\n').slice(-shownLines) },
  })
}

function qemuEnded(how: number | string | null, said: readonly string[]): PipelineError {
  return new PipelineError({
    code: 'qemu-ended',
    message: `QEMU ended with ${how} before the guest ran`,
    hint: 'what it said is below.',
    details: { lastLines: said.slice(-shownLines) },
  })
}
