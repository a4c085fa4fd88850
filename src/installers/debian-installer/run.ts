/** Runs debian-installer on an empty disk: one Packer build of a machine that powers itself off, watched throughout. */

import { appendFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sha256 } from '../../digest.ts'
import { type CpioEntry, renderCpio } from '../../disk/cpio.ts'
import { createDisk } from '../../disk/qemu-img.ts'
import type { PipelineError } from '../../errors.ts'
import { diskFailed, interrupted, isNoSpace } from '../../host/failures.ts'
import { readRegular } from '../../host/regular-file.ts'
import type { RunFolder } from '../../host/run-folder.ts'
import type { ScratchFolder } from '../../host/scratch-folder.ts'
import { packerFailed } from '../../packer/failures.ts'
import { type PackerProcess, startPacker } from '../../packer/process.ts'
import type { PackerDialect } from '../../packer/template.ts'
import { qemuArguments } from '../../qemu/arguments.ts'
import { followLines } from '../../qemu/console.ts'
import type { Acceleration } from '../../qemu/machine.ts'
import { connectQmp } from '../../qemu/qmp.ts'
import { renderInstallerTemplate } from './hcl.ts'
import { hostAddress, httpPortPlaceholder, installerMachine } from './machine.ts'
import { type MirrorProxy, type MirrorProxyOptions, startMirrorProxy } from './mirror-proxy.ts'
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

/** Paths of what an installation leaves in the run folder. */
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

/** The console's last words reach its file after QEMU is gone. */
const lastWordsMs = 400

/**
 * Returns once the finished installer has powered its machine off.
 * @throws PipelineError `installer-*`, `guest-panicked`, `packer-died`, `disk-full` or `interrupted`, with the machine gone
 */
export async function runInstaller(request: InstallerRequest, scratch: ScratchFolder): Promise<void> {
  const { runFolder, signal } = request
  const logs = installerLogs(runFolder.path)
  signal.throwIfAborted()
  const started = performance.now()
  let failure: PipelineError | undefined
  let stopping: Promise<void> | undefined
  let packer: PackerProcess | undefined
  let proxy: MirrorProxy | undefined
  const fail = (error: PipelineError) => {
    failure ??= error
    stopping ??= packer?.stop(stopGraceMs)
  }
  /** Writes to a log, whose disk may be full. */
  const log = (path: string, text: string) => {
    try {
      appendFileSync(path, `${text}\n`)
    } catch (cause) {
      fail(diskFailed(isNoSpace(cause), runFolder.path, cause))
    }
  }
  const watch = watchInstaller({
    onPhase: request.onPhase,
    onProgress: request.onProgress,
    onFailure: fail,
    logs: { syslog: logs.syslog, serial: logs.serial },
    nowMs: () => performance.now(),
  })
  request.onPhase(installerPhases[0])

  const seconds = () => ((performance.now() - started) / 1000).toFixed(1).padStart(7)
  const syslog = await receiveSyslog((message: SyslogMessage) => {
    log(logs.syslog, `${seconds()} ${message.program}: ${message.text}`)
    watch.syslog(message)
  })
  const watching = new AbortController()
  const clock = setInterval(watch.tick, 1000)
  const console = followLines(logs.serial, watching.signal, watch.serial)
  const interrupt = () => fail(interrupted())
  signal.addEventListener('abort', interrupt, { once: true })
  let isPowerOff = false
  const qmp = connectQmp(scratch.qmpSocket, watching.signal).then(
    ({ events }) => {
      events.on(
        'event',
        (name: string, data: { readonly reason?: string; readonly nospace?: boolean } = {}) => {
          if (name === 'SHUTDOWN') isPowerOff = data.reason === 'guest-shutdown'
          if (name === 'BLOCK_IO_ERROR') fail(diskFailed(data.nospace === true, runFolder.outFolder))
        },
      )
    },
    () => undefined,
  )
  try {
    proxy = await startMirrorProxy({
      ...request.mirror,
      onAnswer: ({ status, origin, url, fault }) => {
        log(
          logs.mirror,
          [seconds(), status, origin, url, fault].filter((word) => word !== undefined).join(' '),
        )
        if (fault !== undefined && origin === 'mirror') watch.mirror(`${url}: ${fault}`)
      },
    })
    await prepare(request, scratch, { syslogPort: syslog.port, proxyPort: proxy.port })
    if (failure === undefined) {
      packer = startPacker({
        template: logs.template,
        runFolder,
        scratch,
        debugLog: logs.packerDebug,
        onLine: ({ text }) => log(logs.packer, text),
      })
      const ended = await packer.ended
      await stopping
      await new Promise((resolve) => setTimeout(resolve, lastWordsMs))
      if (failure === undefined && ended.exitCode !== 0) {
        fail(packerFailed(undefined, ended, packer.errors, logs.packerDebug))
      }
      failure ??= watch.ended(isPowerOff)
    }
  } finally {
    signal.removeEventListener('abort', interrupt)
    clearInterval(clock)
    watching.abort()
    await packer?.stop(stopGraceMs)
    syslog.close()
    await Promise.all([console, qmp, proxy?.close()])
  }
  if (failure !== undefined) throw failure
}

/** Writes the files that Packer and the machine start with. */
async function prepare(
  request: InstallerRequest,
  scratch: ScratchFolder,
  ports: Pick<InstallerHost, 'syslogPort' | 'proxyPort'>,
): Promise<void> {
  const { medium, runFolder, acceleration, preseed } = request
  const logs = installerLogs(runFolder.path)
  const host: InstallerHost = { address: hostAddress, httpPort: httpPortPlaceholder, ...ports }
  await mkdir(logs.http, { recursive: true })
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

/** Appends files to an initrd: the kernel unpacks one archive after the other. */
async function overlaid(initrd: string, entries: readonly CpioEntry[], to: string): Promise<string> {
  if (entries.length === 0) return initrd
  const original = await readRegular(initrd, mostNetbootBytes)
  // Archives begin at multiples of four bytes.
  const gap = Buffer.alloc((4 - (original.length % 4)) % 4)
  await writeFile(to, Buffer.concat([original, gap, renderCpio(entries)]))
  return to
}
