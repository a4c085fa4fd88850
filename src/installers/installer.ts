/** An installer: one way in which layer 0 comes to be. A folder beside this file has all that there is to each. */

import type { InstallerName } from '../config/installer.ts'
import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import type { Layout } from '../disk/layout.ts'
import type { RunFolder } from '../host/run-folder.ts'
import type { PackerDialect } from '../packer/template.ts'
import type { Acceleration } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { PackageChange } from '../report/report.ts'
import type { InstallerParts } from '../store/layer-key.ts'

export interface Installer {
  /** As `pipeline.ts`, reports and the command line have it. */
  readonly name: InstallerName
  /** What layer 0 follows from. Reads nothing but files of this host. */
  readonly keyParts: (image: ResolvedImage) => Promise<KeyParts>
  /** What can be said of an installation before it is tried; without it, nothing can. */
  readonly readiness?: (image: ResolvedImage, signal?: AbortSignal) => Promise<Readiness | undefined>
  /** Refuses in seconds what would only fail in the middle. @throws PipelineError */
  readonly preflight?: (image: ResolvedImage, signal: AbortSignal) => Promise<void>
  /** Makes the disk of layer 0. @throws PipelineError */
  readonly install: (request: InstallRequest) => Promise<InstalledBase>
  /** Stages that have to come before those of the pipeline, for layer 0 to be what they expect. */
  readonly stages?: (image: ResolvedImage) => readonly ResolvedStage[]
  /** Folder of this host that takes far more than the layer while it is made; without it, there is none. */
  readonly workFolder?: () => string
  /** Files that it gives to other programs, by name, with stand-ins for what only a run knows. */
  readonly renderFiles?: (image: ResolvedImage, dialect: PackerDialect) => Readonly<Record<string, string>>
}

/** What the key of layer 0 is the digest of. */
export interface KeyParts {
  /** By name: what is rendered for the installer, as digests, and the facts that it is rendered from. */
  readonly parts: InstallerParts
  /** The texts whose digests are among the parts, to show later what exactly has changed. */
  readonly sources: readonly KeySource[]
}

/** A text that a key was made from. */
export interface KeySource {
  /** For people: the name of a file, or what it is. */
  readonly name: string
  readonly text: string
}

/** Whether an installation can work out with what the image's sources serve. */
export interface Readiness {
  readonly isFit: boolean
  /** `cannot run from http://…: 4 of 18 udebs asked for are not served` */
  readonly text: string
  /** What to do where it is not fit. */
  readonly advice: string
  /** The same for programs. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface InstallRequest {
  readonly image: ResolvedImage
  /** What the layer's key was made from. */
  readonly planned: InstallerParts
  /** Where partitions go, for an installer that can place them. */
  readonly layout: Layout
  /** qcow2 file to make. */
  readonly disk: string
  /** Folder that keeps downloaded packages between runs, by apt's names. */
  readonly packageCache: string
  readonly place: RunFolder
  readonly packer: PackerDialect
  /** Decides how a guest is executed, by booting its kernel. */
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly emit: Emit
  /** Seconds that a part of a run took before, by its name. */
  readonly estimate: (part: string) => number | undefined
  readonly signal: AbortSignal
}

export interface InstalledBase {
  readonly packages: PackageChange
  /** Where the partitions lie; absent where that is the request's layout. */
  readonly layout?: Layout
  /** SHA-256 of files that it was installed by, by name; absent where that was a tool of the host. */
  readonly installerFiles?: Readonly<Record<string, string>>
  /** Path of the log. */
  readonly log: string
}
