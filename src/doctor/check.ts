/** The input and findings of host checks. */

import type { Arch } from '../arch.ts'
import type { ImageFacts } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { ReleaseRequest, VerifiedRelease } from '../debian/release.ts'
import type { PipelineError } from '../errors.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { RoomAhead } from '../report/events.ts'

/** An image to be built, as far as it is known. */
export type HostImage = Partial<Pick<ImageFacts, 'arch' | 'suite' | 'debianArch' | 'mirror'>> &
  Partial<Pick<ResolvedImage, 'installer' | 'debianInstaller' | 'targets' | 'formats' | 'stages'>>

/** What is known about the host's task. A check skips what it lacks the input for. */
export interface HostInput {
  readonly images: readonly HostImage[]
  /** Architectures of other images of the pipeline, that nobody asks for now. @default none */
  readonly otherArchs?: readonly Arch[] | undefined
  /** Where builds write. May not exist yet. */
  readonly outDir?: string | undefined
  /** The space that a build takes there, and what is free. */
  readonly room?: RoomAhead | undefined
  /** Free bytes that any build needs there, if nothing more exact is known. */
  readonly neededBytes?: number | undefined
  /** Free memory that a build needs, for the guest and on the host. @default 2560 */
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
  /** One or two words for people. */
  readonly title: string
  readonly status: CheckStatus
  /** What was found, in one line. */
  readonly found: string
  /** What to do about it; absent if nothing. */
  readonly advice?: string | undefined
}

/** The result of a probe. */
export interface Finding extends Omit<DoctorCheck, 'id' | 'title'> {
  /** The error for verbs that depend on it. */
  readonly error?: PipelineError
  /** The note that a verb prints when it continues despite this warning. */
  readonly note?: string
}

/** One probe of the host: most checks have one, some have one per archive, keyring, … */
export interface Probe {
  readonly id: string
  readonly title: string
  /** Throws a `PipelineError` for a fault, or returns findings. Several findings have their own ids and titles. */
  readonly run: () => Found | Promise<Found>
}

type Found = Finding | readonly (Finding & Pick<DoctorCheck, 'id' | 'title'>)[]

/** Tasks that may be refused. `planned-build` is a build that knows what it will make and download; `plan` only warns. */
export type Task = 'build' | 'planned-build' | 'plan' | 'shell' | 'run' | 'verify' | 'export'

/** What probes have in common. */
export interface HostContext extends HostInput {
  readonly task: Task | 'doctor'
  /** Fetches and verifies an archive once, however many probes need it. @throws PipelineError as `verifyRelease` does */
  readonly releaseOf: (archive: ReleaseRequest) => Promise<VerifiedRelease>
}

/** One check in the list. */
export interface HostCheck {
  readonly id: string
  /** Tasks that run it and stop if it finds a fault with an error. `doctor` runs all checks. */
  readonly tasks: readonly Task[]
  readonly probes: (context: HostContext) => readonly Probe[]
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
