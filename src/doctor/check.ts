/** What a check of the host is given, and what it finds. */

import type { ImageFacts } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { ReleaseRequest, VerifiedRelease } from '../debian/release.ts'
import type { PipelineError } from '../errors.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { RoomAhead } from '../report/events.ts'

/** An image that is to be built, or what is known of it. */
export type HostImage = Partial<Pick<ImageFacts, 'arch' | 'suite' | 'debianArch' | 'mirror'>> &
  Partial<Pick<ResolvedImage, 'installer' | 'debianInstaller' | 'targets' | 'formats' | 'stages'>>

/** What is known of the host's task. What a check needs and is not known, it does not look at. */
export interface HostInput {
  readonly images: readonly HostImage[]
  /** Where builds write. Need not exist yet. */
  readonly outDir?: string | undefined
  /** What a build takes there, and what is free. */
  readonly room?: RoomAhead | undefined
  /** Free bytes that any build needs there, where nothing closer is known. */
  readonly neededBytes?: number | undefined
  /** Free memory that a build needs: the guest's and its host's part. @default 2560 */
  readonly neededMemoryMiB?: number | undefined
  /** Kernel images to prove KVM with, best first. May be empty. */
  readonly kernels?: readonly string[] | undefined
  readonly cacheDir?: string | undefined
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

/** What a look has found. */
export interface Finding extends Omit<DoctorCheck, 'id' | 'title'> {
  /** What a verb that cannot do without it is refused with. */
  readonly error?: PipelineError
  /** What a verb says that goes on with this warning. */
  readonly note?: string
}

/** One look: most checks have one, and some have one for each archive, keyring, … */
export interface Look {
  readonly id: string
  readonly title: string
  /** Throws a `PipelineError` for a fault, or finds one. Several findings have ids and titles of their own. */
  readonly run: () => Found | Promise<Found>
}

type Found = Finding | readonly (Finding & Pick<DoctorCheck, 'id' | 'title'>)[]

/** What may be refused. `planned-build` is a build that knows what it will make and download; `plan` only warns. */
export type Task = 'build' | 'planned-build' | 'plan' | 'shell' | 'run' | 'verify' | 'export'

/** What looks share. */
export interface HostContext extends HostInput {
  readonly task: Task | 'doctor'
  /** Fetches and proves an archive once, however many ask. @throws PipelineError as `verifyRelease` does */
  readonly releaseOf: (archive: ReleaseRequest) => Promise<VerifiedRelease>
}

/** A check of the table. */
export interface HostCheck {
  readonly id: string
  /** Tasks that make it, and are refused where it finds a fault with an error. `doctor` makes every one. */
  readonly tasks: readonly Task[]
  readonly looks: (context: HostContext) => readonly Look[]
}

export const ok = (found: string): Finding => ({ status: 'ok', found })
export const warning = (found: string, advice: string, note?: string): Finding => ({
  status: 'warning',
  found,
  advice,
  ...(note === undefined ? {} : { note }),
})
export const fault = (found: string, advice: string, error?: PipelineError): Finding => ({
  status: 'fault',
  found,
  advice,
  ...(error === undefined ? {} : { error }),
})

/** A number with its noun. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
