/** The input and findings of host checks. */

import type { Arch } from '../arch.ts'
import type { ImageFacts } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { ReleaseRequest, VerifiedRelease } from '../debian/release.ts'
import type { PipelineError } from '../errors.ts'
import type { Accelerator } from '../qemu/machine.ts'
import type { RoomAhead } from '../report/events.ts'

/** The known facts about an image to build. */
export type HostImage = Partial<Pick<ImageFacts, 'arch' | 'suite' | 'debianArch' | 'mirror'>> &
  Partial<Pick<ResolvedImage, 'installer' | 'debianInstaller' | 'targets' | 'formats' | 'stages'>>

/** The known facts about the host's task. A check is skipped if its input is missing. */
export interface HostInput {
  readonly images: readonly HostImage[]
  /** Architectures of the pipeline's other images, which nobody has asked for. @default none */
  readonly otherArchs?: readonly Arch[] | undefined
  /** Output folder of builds, which may not exist yet. */
  readonly outDir?: string | undefined
  /** The space that a build takes there, and the free space. */
  readonly room?: RoomAhead | undefined
  /** Free bytes that any build needs there, if nothing more exact is known. */
  readonly neededBytes?: number | undefined
  /** Free memory that a build needs, for the guest and on the host. @default 2560 */
  readonly neededMemoryMiB?: number | undefined
  /** Kernel images for testing KVM, in order of preference. May be empty. */
  readonly kernels?: readonly string[] | undefined
  readonly cacheDir?: string | undefined
  readonly forceAccelerator?: Accelerator | undefined
  readonly signal?: AbortSignal | undefined
}

export type CheckStatus = 'ok' | 'warning' | 'fault'

/** One line of the report. */
export interface DoctorCheck {
  /** Stable, for programs: `disk-space`, `mirror:trixie`, … */
  readonly id: string
  /** One or two words for people. */
  readonly title: string
  readonly status: CheckStatus
  /** What was found, in one line. */
  readonly found: string
  /** What to do about it; absent if nothing is needed. */
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
  /**
   * Returns findings, or throws a `PipelineError` for a fault. If there are several findings, each has its own id and title.
   */
  readonly run: () => Found | Promise<Found>
}

type Found = Finding | readonly (Finding & Pick<DoctorCheck, 'id' | 'title'>)[]

/** Tasks that can be refused. `planned-build` is a build that knows what it will make and download; `plan` only warns. */
export type Task = 'build' | 'planned-build' | 'plan' | 'shell' | 'run' | 'verify' | 'export'

/** What all probes share. */
export interface HostContext extends HostInput {
  readonly task: Task | 'doctor'
  /** Fetches and verifies an archive once, however many probes need it. @throws PipelineError like `verifyRelease` */
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
