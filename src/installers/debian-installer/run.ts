/** Runs debian-installer on an empty disk: one Packer build of a machine that powers itself off, monitored throughout. */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sha256 } from '../../digest.ts'
import { type CpioEntry, renderCpio } from '../../disk/cpio.ts'
import { createDisk } from '../../disk/qemu-img.ts'
import type { PipelineError } from '../../errors.ts'
import { diskFailed, interrupted } from '../../host/failures.ts'
import { makeFolder } from '../../host/files.ts'
import { openLogs } from '../../host/log-files.ts'
import type { ProcessResult } from '../../host/process.ts'
import { readRegular } from '../../host/regular-file.ts'
import type { RunFolder } from '../../host/run-folder.ts'
import type { ScratchFolder } from '../../host/scratch-folder.ts'
import { type SetUp, withSteps } from '../../host/steps.ts'
import { writeFile } from '../../host/writing.ts'
import { packerFailed } from '../../packer/failures.ts'
import { type PackerProcess, startPacker } from '../../packer/process.ts'
import type { PackerDialect } from '../../packer/template.ts'
import { qemuArguments } from '../../qemu/arguments.ts'
import type { Acceleration } from '../../qemu/machine.ts'
import { renderInstallerTemplate } from './hcl.ts'
import { hostAddress, httpPortPlaceholder, installerMachine } from './machine.ts'
import { followConsole, watchPower } from './machine-watch.ts'
import { type MirrorProxyOptions, startMirrorProxy } from './mirror-proxy.ts'
import type { InstallerMedium } from './netboot.ts'
import { mostNetbootBytes } from './netboot.ts'
import { type InstallerPhase, installerPhases } from './phases.ts'
import type { InstallerHost } from './preseed.ts'
import { receiveSyslog, type SyslogMessage } from './syslog.ts'
import { watchInstaller } from './watch.ts'

export interface InstallerRequest {
  readonly variant: string
  /** Name of the machine. */
  readonly name: string
  readonly machine: { readonly cpus: number; readonly memoryMiB: number }
  readonly acceleration: Acceleration
  readonly packer: PackerDialect
  readonly medium: InstallerMedium
  /** Extra files for the installer, such as another keyring. */
  readonly overlay: readonly CpioEntry[]
  /** Text served as `/preseed.cfg`; without it there is none. */
  readonly preseed: ((host: InstallerHost) => string) | undefined
  /** How to reach its mirror. */
  readonly mirror: Omit<MirrorProxyOptions, 'onAnswer'>
  readonly kernelArguments: (host: InstallerHost) => readonly string[]
  /** qcow2 to install on. */
  readonly disk: string
  /** Where its logs stay. */
  readonly runFolder: RunFolder
  readonly onPhase: (phase: InstallerPhase) => void
  readonly onProgress: (text: string) => void
  readonly signal: AbortSignal
}

/** Paths of the logs that an installation leaves in the run folder. */
export function installerLogs(folder: string) {
  return {
    http: join(folder, 'http'),
    template: join(folder, 'installer.pkr.hcl'),
    syslog: join(folder, 'installer-syslog.log'),
    serial: join(folder, 'installer-serial.log'),
    mirror: join(folder, 'installer-mirror.log'),
    packer: join(folder, 'packer-installer.log'),
    packerDebug: join(folder, 'packer-installer-debug.log'),
  }
}

/** How long Packer may take to end its machine before both are killed. */
const stopGraceMs = 1_500

/** The console's last output reaches its file after QEMU has exited. */
const lastWordsMs = 400

/**
 * Returns once the finished installer has powered its machine off.
 * @throws PipelineError `installer-*`, `guest-panicked`, `packer-died`, `disk-full` or `interrupted`, with the machine gone
 */
export async function runInstaller(request: InstallerRequest, scratch: ScratchFolder): Promise<void> {
  request.signal.throwIfAborted()
  const cleanupErrors: unknown[] = []
  const failure = await withSteps(
    (setUp) => install(request, scratch, setUp),
    (error) => cleanupErrors.push(error),
  )
  if (failure !== undefined) throw failure
  if (cleanupErrors.length > 0) throw cleanupErrors[0]
}

// --- internal ---

/** Returns the reason if it failed; undefined otherwise. */
async function install(
  request: InstallerRequest,
  scratch: ScratchFolder,
  setUp: SetUp,
): Promise<PipelineError | undefined> {
  const { runFolder, signal } = request
  const logs = installerLogs(runFolder.path)
  const outcome = createOutcome()
  const { fail } = outcome
  const append = openLogs(runFolder.path, fail)
  const started = performance.now()
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1).padStart(7)
  const watch = watchInstaller({
    onPhase: request.onPhase,
    onProgress: request.onProgress,
    onFailure: fail,
    logs: { syslog: logs.syslog, serial: logs.serial },
    nowMs: () => performance.now(),
  })
  request.onPhase(installerPhases[0])

  const interrupt = () => fail(interrupted())
  await setUp({
    run: () => signal.addEventListener('abort', interrupt, { once: true }),
    cleanup: () => signal.removeEventListener('abort', interrupt),
  })
  const proxy = await setUp({
    run: () =>
      startMirrorProxy({
        ...request.mirror,
        onAnswer: ({ status, origin, url, fault }) => {
          const words = [seconds(), status, origin, url, fault].filter((word) => word !== undefined)
          append(logs.mirror, words.join(' '))
          if (fault !== undefined && origin === 'mirror') watch.mirror(`${url}: ${fault}`)
        },
      }),
    cleanup: ({ close }) => close(),
  })
  const syslog = await setUp({
    run: () =>
      receiveSyslog((message: SyslogMessage) => {
        append(logs.syslog, `${seconds()} ${message.program}: ${message.text}`)
        watch.syslog(message)
      }),
    cleanup: ({ close }) => close(),
  })
  await setUp({
    run: () => followConsole(logs.serial, watch.serial),
    cleanup: ({ close }) => close(),
  })
  const power = await setUp({
    run: () => watchPower(scratch.qmpSocket, (isFull) => fail(diskFailed(isFull, runFolder.outFolder))),
    cleanup: ({ close }) => close(),
  })
  await setUp({
    run: () => setInterval(watch.tick, 1000),
    cleanup: clearInterval,
  })
  await prepare(request, scratch, { syslogPort: syslog.port, proxyPort: proxy.port })
  if (outcome.failure() !== undefined) return outcome.failure()

  const packer = await setUp({
    run: () =>
      startPacker({
        template: logs.template,
        runFolder,
        scratch,
        debugLog: logs.packerDebug,
        secrets: [],
        onLine: ({ text }) => append(logs.packer, text),
      }),
    cleanup: ({ stop }) => stop(stopGraceMs),
  })
  const ended = await outcome.untilEnd(packer)
  await sleep(lastWordsMs)
  if (ended.exitCode !== 0) fail(packerFailed(undefined, ended, packer.errors, logs.packerDebug))
  return outcome.failure() ?? watch.ended(power.isPowerOff())
}

/** The first failure, which makes us stop Packer. Later ones are its consequences. */
function createOutcome() {
  let failure: PipelineError | undefined
  let packer: PackerProcess | undefined
  let stopping: Promise<void> | undefined
  return {
    failure: () => failure,
    fail: (error: PipelineError): void => {
      failure ??= error
      stopping ??= packer?.stop(stopGraceMs)
    },
    untilEnd: async (process: PackerProcess): Promise<ProcessResult> => {
      packer = process
      if (failure !== undefined) stopping ??= packer.stop(stopGraceMs)
      const ended = await packer.ended
      await stopping
      return ended
    },
  }
}

/** Writes the files that Packer and the machine need at the start. */
async function prepare(
  request: InstallerRequest,
  scratch: ScratchFolder,
  ports: Pick<InstallerHost, 'syslogPort' | 'proxyPort'>,
): Promise<void> {
  const { medium, runFolder, acceleration, preseed } = request
  const logs = installerLogs(runFolder.path)
  const host: InstallerHost = { address: hostAddress, httpPort: httpPortPlaceholder, ...ports }
  await makeFolder(logs.http)
  if (preseed !== undefined) await writeFile(join(logs.http, 'preseed.cfg'), preseed(host))
  const dummyDisk = join(scratch.folder, 'dummy.qcow2')
  await createDisk(dummyDisk, 1024 ** 2)
  const initrd = await overlaid(medium.initrd, request.overlay, join(scratch.folder, 'initrd'))
  const text = renderInstallerTemplate({
    variant: request.variant,
    dialect: request.packer,
    dummyDisk,
    dummyDigest: `sha256:${sha256(await readRegular(dummyDisk))}`,
    outputFolder: join(scratch.folder, 'output'),
    machineName: request.name,
    httpFolder: logs.http,
    arch: acceleration.arch,
    accelerator: acceleration.accelerator,
    machineArguments: qemuArguments(
      installerMachine({
        ...acceleration,
        ...request.machine,
        disk: request.disk,
        kernel: medium.kernel,
        initrd,
        kernelArguments: request.kernelArguments(host),
        medium: medium.disc,
        serialLog: logs.serial,
        qmpSocket: scratch.qmpSocket,
      }),
    ),
  })
  await writeFile(logs.template, text)
}

/** Appends files to an initrd: the kernel unpacks one archive after another. */
async function overlaid(initrd: string, entries: readonly CpioEntry[], to: string): Promise<string> {
  if (entries.length === 0) return initrd
  const original = await readRegular(initrd, mostNetbootBytes)
  // Archives begin at multiples of four bytes.
  const gap = Buffer.alloc((4 - (original.length % 4)) % 4)
  await writeFile(to, Buffer.concat([original, gap, renderCpio(entries)]))
  return to
}
