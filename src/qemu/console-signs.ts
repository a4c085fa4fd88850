/** What a guest's console lines mean: those of firmware, boot loader, kernel, systemd and our own build agent. */

import type { ErrorCode } from '../error-codes.ts'
import { PipelineError, shownLines } from '../errors.ts'
import { cleanText } from './console.ts'

interface ConsoleSign {
  readonly pattern: RegExp
  /**
   * `up`: the guest has come this far. `hurt`: something in it broke, but it may go on. `end`: nothing more will come; the
   * guest is dead, or waits for a person at its console.
   */
  readonly meaning: 'up' | 'hurt' | 'end'
  /** In a few words, for error texts. */
  readonly what: string
  /** Error code of an `end`. */
  readonly code?: ErrorCode
}

/** Most specific first. Nothing in them is of any length: a guest can print a beginning millions of times, in one line. */
const signs = {
  kernelPanic: {
    pattern: /Kernel panic - not syncing/,
    meaning: 'end',
    code: 'guest-panicked',
    what: 'the kernel of the guest panicked',
  },
  rootMissing: {
    pattern: /ALERT!.{0,200}does not exist|Gave up waiting for root/,
    meaning: 'end',
    code: 'guest-root-missing',
    what: 'the guest found no root filesystem',
  },
  emergencyMode: {
    pattern:
      /You are in (emergency|rescue) mode|Cannot open access to console|Give root password for maintenance/,
    meaning: 'end',
    code: 'guest-emergency',
    what: 'the guest fell into emergency mode while booting',
  },
  // After the two signs that explain it.
  initramfsShell: {
    pattern: /^\(initramfs\)|BusyBox v\S{1,50} .{0,200}built-in shell/m,
    meaning: 'end',
    code: 'guest-initramfs-shell',
    what: 'the guest waits in the shell of its initramfs',
  },
  bootLoaderPrompt: {
    pattern: /Entering rescue mode\.\.\.|^grub( rescue)?>|Minimal BASH-like line editing is supported/m,
    meaning: 'end',
    code: 'guest-not-booted',
    what: 'GRUB found nothing to boot and waits at its prompt',
  },
  nothingToBoot: {
    pattern: /No bootable device|Boot failed: not a bootable disk/,
    meaning: 'end',
    code: 'guest-not-booted',
    what: 'the firmware found nothing to boot',
  },
  buildNetworkMissing: {
    pattern: /systemvm-build: no interface eth0/,
    meaning: 'end',
    code: 'guest-no-network',
    what: 'no network interface eth0 appeared in the guest',
  },
  buildUnitFailed: {
    pattern: /Failed to start systemvm-build\.service|systemvm-build\.service: Failed with result/,
    meaning: 'end',
    code: 'guest-no-access',
    what: "the build's own unit failed in the guest",
  },
  kernelBug: {
    pattern: /kernel BUG at |BUG: unable to handle |\bOops: /,
    meaning: 'hurt',
    what: 'its kernel reported a bug',
  },
  // initramfs-tools continues without it.
  resumeDeviceMissing: {
    pattern: /Gave up waiting for suspend\/resume/,
    meaning: 'hurt',
    what: 'it waited half a minute for a device to resume from',
  },
  loginPrompt: { pattern: / login:/, meaning: 'up', what: 'it asks for a login' },
  buildReady: { pattern: /systemvm-build: ready/, meaning: 'up', what: 'it can take its first stage' },
} as const satisfies Readonly<Record<string, ConsoleSign>>

export type SignName = keyof typeof signs

/** A sign, and the line where it was found. */
export interface FoundSign extends ConsoleSign {
  readonly line: string
}

/** Whether a text contains a sign. */
export function hasSign(text: string, name: SignName): boolean {
  return signs[name].pattern.test(text)
}

/** The most specific sign with a meaning, in a text of one or more lines. */
export function findSign(text: string, meaning: ConsoleSign['meaning']): FoundSign | undefined {
  // systemd colors the names of its units.
  const clean = cleanText(text)
  const sign = Object.values<ConsoleSign>(signs).find(
    (candidate) => candidate.meaning === meaning && candidate.pattern.test(clean),
  )
  if (sign === undefined) return undefined
  const line = clean.split('\n').find((candidate) => sign.pattern.test(candidate)) ?? ''
  return { ...sign, line: line.trim() }
}

/** The failure that a console line signals, if any. */
export function readSign(line: string, recent: readonly string[], log: string): PipelineError | undefined {
  const sign = findSign(line, 'end')
  if (sign?.code === undefined) return undefined
  return new PipelineError({
    code: sign.code,
    message: `${sign.what}: ${sign.line}`,
    hint: `the console's last lines are below; the full log is ${log}`,
    details: { lastLines: recent.slice(-shownLines), log },
  })
}
