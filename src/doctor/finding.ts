/** What a check of the host is given, and what it says. */

import type { ImageFacts } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { Accelerator } from '../qemu/machine.ts'

export interface DoctorInput {
  /** Images that are to be built: their mirrors, suites and architectures are what is checked. */
  readonly images: readonly (Pick<ImageFacts, 'suite' | 'arch' | 'debianArch' | 'mirror'> &
    Partial<Pick<ResolvedImage, 'installer' | 'debianInstaller'>>)[]
  /** Where builds write. Need not exist yet. */
  readonly outDir: string
  /** Free bytes that a build needs there. */
  readonly neededBytes: number
  /** Free memory that a build needs: the guest's and its host's part. @default 2560 */
  readonly neededMemoryMiB?: number | undefined
  /** Kernel images to prove KVM with, best first. May be empty. */
  readonly kernels: readonly string[]
  readonly cacheDir: string
  readonly forceAccelerator?: Accelerator | undefined
  readonly signal?: AbortSignal | undefined
}

export type CheckStatus = 'ok' | 'warning' | 'fault'

/** One thing that was looked at. */
export interface DoctorCheck {
  /** Stable, for machines: `disk-space`, `mirror:trixie`, … */
  readonly id: string
  /** A word or two for people. */
  readonly title: string
  readonly status: CheckStatus
  /** What is there, in one line. */
  readonly found: string
  /** What to do about it; absent where nothing has to be done. */
  readonly advice?: string | undefined
}

/** What a check that is one thing alone has found. */
export type Finding = Omit<DoctorCheck, 'id' | 'title'>

export const ok = (found: string): Finding => ({ status: 'ok', found })
export const warning = (found: string, advice: string): Finding => ({ status: 'warning', found, advice })
export const fault = (found: string, advice: string): Finding => ({ status: 'fault', found, advice })

/** A number with its noun. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
