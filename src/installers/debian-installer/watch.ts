/**
 * Interprets debian-installer's output. The installer never fails and never ends: at a question without an answer, it shows a
 * dialog and waits forever. With `DEBCONF_DEBUG=5`, its syslog contains its entire exchange with debconf; a question that is
 * not answered within a few seconds never will be.
 */

import type { PipelineError } from '../../errors.ts'
import { hasSign, readSign } from '../../qemu/console-signs.ts'
import { followDebconf } from './debconf.ts'
import {
  type Evidence,
  installerBlocked,
  installerRecipeSkipped,
  installerStalled,
  installerVanished,
} from './failures.ts'
import { type InstallerPhase, installerPhases, phaseOfItem, silenceSeconds } from './phases.ts'
import type { SyslogMessage } from './syslog.ts'

export interface InstallerWatchOptions {
  /** Called for each phase; the first begins at once. */
  readonly onPhase: (phase: InstallerPhase) => void
  /** What it is doing, in a few words. */
  readonly onProgress: (text: string) => void
  /** Called once, at the first sign that the installation will fail. */
  readonly onFailure: (error: PipelineError) => void
  /** The log files, for error texts. */
  readonly logs: { readonly syslog: string; readonly serial: string }
  /** Milliseconds of a monotonic clock. */
  readonly nowMs: () => number
}

export interface InstallerWatch {
  readonly syslog: (message: SyslogMessage) => void
  readonly serial: (line: string) => void
  /** Records a failure of the mirror, or on the way there. */
  readonly mirror: (fault: string) => void
  /** To be called about every second. */
  readonly tick: () => void
  readonly phase: () => InstallerPhase
  /** Call when QEMU has ended. Returns why that is a failure, or undefined if the installer powered the machine off. */
  readonly ended: (isPowerOff: boolean) => PipelineError | undefined
}

/** A question that the preseed answers is done within a second. */
const blockedMs = 5_000

/** An older mirror failure has been overcome, and is not why the installer is waiting. */
const recentMs = 60_000

/** The clock check runs every second; even a busy host is never this late for it. */
const sleptMs = 10_000

/** Enough lines to get from a failed download or an unknown package to the question that it leads to. */
const keptLines = 60

/** The exchange with debconf shows what the installer is waiting for; it is too long to quote. */
const isExchange = ({ program }: SyslogMessage) => program === 'debconf'

/** Lines that look bad but appear in every successful run. */
const harmless =
  /unknown udeb|depmod: WARNING|ignoring pre-dependency problem|Unknown device|dpkg-divert: warning|setupcon|cached_setup/

export function watchInstaller(options: InstallerWatchOptions): InstallerWatch {
  const { onPhase, onProgress, nowMs, logs } = options
  let phase: InstallerPhase = installerPhases[0]
  let lastWordMs = nowMs()
  let lastTickMs = nowMs()
  let hasFailed = false
  const debconf = followDebconf(nowMs)
  let mirrorFault: { readonly text: string; readonly atMs: number } | undefined
  const lines: string[] = []
  const consoleLines: string[] = []

  const evidence = (): Evidence => {
    const isRecent = mirrorFault !== undefined && nowMs() - mirrorFault.atMs < recentMs
    return { phase, lines, consoleLines, logs, mirrorFault: isRecent ? mirrorFault?.text : undefined }
  }
  const fail = (error: PipelineError) => {
    if (hasFailed) return
    hasFailed = true
    options.onFailure(error)
  }
  const keep = (list: string[], line: string) => {
    list.push(line)
    if (list.length > keptLines) list.shift()
  }

  const enter = (next: InstallerPhase) => {
    // Retrying a failed step does not go back to an earlier phase.
    if (installerPhases.indexOf(next) <= installerPhases.indexOf(phase)) return
    phase = next
    onPhase(phase)
  }

  return {
    phase: () => phase,
    syslog: (message) => {
      lastWordMs = nowMs()
      if (isExchange(message)) return debconf.take(message.text)
      const { program, text } = message
      if (text.trim() === '' || harmless.test(text)) return
      keep(lines, program === '' ? text : `${program}: ${text}`)
      const item = /Menu item '([^']+)' selected/.exec(text)?.[1]
      const next = program === 'main-menu' && item !== undefined ? phaseOfItem(item) : undefined
      if (next !== undefined) enter(next)
      if (/too small for expert recipe/.test(text)) fail(installerRecipeSkipped(text, evidence()))
      const progress = describeProgress(message)
      if (progress !== undefined) onProgress(progress)
    },
    serial: (line) => {
      lastWordMs = nowMs()
      if (line.trim() === '') return
      keep(consoleLines, line)
      const sign = hasSign(line, 'kernelPanic') ? readSign(line, consoleLines, logs.serial) : undefined
      if (sign !== undefined) fail(sign)
    },
    mirror: (fault) => {
      keep(lines, `mirror: ${fault}`)
      mirrorFault = { text: fault, atMs: nowMs() }
    },
    tick: () => {
      const now = nowMs()
      // A host that was suspended or stopped missed messages meanwhile, and the guest had no time to send any.
      const missedMs = now - lastTickMs
      lastTickMs = now
      if (missedMs > sleptMs) {
        lastWordMs += missedMs
        debconf.postpone(missedMs)
      }
      const asked = debconf.asked()
      if (asked !== undefined && now - asked.sinceMs > blockedMs) {
        fail(installerBlocked(asked.question, evidence()))
      } else if (now - lastWordMs > silenceSeconds[phase] * 1000) {
        fail(installerStalled(silenceSeconds[phase], evidence()))
      }
    },
    ended: (isPowerOff) =>
      isPowerOff && phase === 'finish' ? undefined : installerVanished(isPowerOff, evidence()),
  }
}

/** Lines that describe progress, in a few words; undefined for all others. */
function describeProgress({ program, text }: SyslogMessage): string | undefined {
  const found =
    /^(?:DEBUG: )?(retrieving \S+)/.exec(text)?.[1] ??
    (program === 'debootstrap'
      ? /^(?:Retrieving|Validating|Extracting|Unpacking|Configuring)\b.*/.exec(text)?.[0]
      : undefined) ??
    /^((?:Unpacking|Setting up) \S+)/.exec(text)?.[1] ??
    /^(update-initramfs: \S.*)$/.exec(text)?.[1] ??
    /Menu item '([^']+)' selected/.exec(text)?.[1]
  return found?.trim()
}
