/** An installer: one way to make layer 0. Each has a folder next to this file. */

import type { InstallerName } from '../config/installer.ts'
import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import type { LoadedArchive } from '../debian/load-archives.ts'
import type { PackageSet } from '../debian/package-set.ts'
import type { Layout } from '../disk/layout.ts'
import type { RunFolder } from '../host/run-folder.ts'
import type { PackerDialect } from '../packer/template.ts'
import type { Acceleration } from '../qemu/machine.ts'
import type { Emit } from '../report/events.ts'
import type { PackageChange } from '../report/report.ts'
import type { InstallerParts } from '../store/layer-key.ts'

export interface Installer {
  /** As in `pipeline.ts`, reports and the command line. */
  readonly name: InstallerName
  /** Whether it places partitions itself. Then only the layer's record knows where they are. */
  readonly placesPartitions: boolean
  /** What determines layer 0. Reads only local files. */
  readonly keyParts: (image: ResolvedImage, signal?: AbortSignal) => Promise<KeyParts>
  /** Predicts whether an installation can work; absent if nothing can be said beforehand. */
  readonly readiness?: (image: ResolvedImage, signal?: AbortSignal) => Promise<Readiness | undefined>
  /** Refuses within seconds what would otherwise fail halfway. @throws PipelineError */
  readonly preflight?: (image: ResolvedImage, signal: AbortSignal) => Promise<void>
  /** The packages that it would install from these archives; absent if only the installation can tell. @throws PipelineError */
  readonly predict?: (
    image: ResolvedImage,
    archives: readonly LoadedArchive[],
    signal: AbortSignal,
  ) => Promise<readonly PredictedPackage[]>
  /** Makes the disk of layer 0. @throws PipelineError */
  readonly install: (request: InstallRequest) => Promise<InstalledBase>
  /** Stages to run before the pipeline's own, so that layer 0 is what they expect. */
  readonly stages?: (image: ResolvedImage) => readonly ResolvedStage[]
  /** Whether it can install from a package set. @default false */
  readonly takesPackages?: boolean
  /** Whether its temporary files need far more space than the layer, in the folder for temporary files. @default false */
  readonly needsWorkFolder?: boolean
  /** Input files for other programs, by name, with placeholders for values that only a run knows. */
  readonly renderFiles?: (image: ResolvedImage, dialect: PackerDialect) => Readonly<Record<string, string>>
}

/** What the key of layer 0 is the digest of. */
export interface KeyParts {
  /** By name: digests of the files rendered for the installer, and the facts behind them. */
  readonly parts: InstallerParts
  /** The texts whose digests are among the parts, to show later exactly what changed. */
  readonly sources: readonly KeySource[]
}

/** A text that a key was made from. */
export interface KeySource {
  /** For people: the name of a file, or a description. */
  readonly name: string
  readonly text: string
}

export interface PredictedPackage {
  readonly name: string
  readonly version: string
  readonly architecture: string
}

/** Whether an installation can work with what the image's sources serve. */
export interface Readiness {
  readonly isFit: boolean
  /** `cannot run from http://…: 4 of 18 udebs asked for are not served` */
  readonly text: string
  /** What to do if it cannot. */
  readonly advice: string
  /** The same for programs. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface InstallRequest {
  readonly image: ResolvedImage
  /** What the layer's key was made from. */
  readonly planned: InstallerParts
  /** Where to put partitions, for an installer that can place them. */
  readonly layout: Layout
  /** qcow2 file to make. */
  readonly disk: string
  /** Folder that keeps downloaded packages between runs, under apt's names. */
  readonly packageCache: string
  /** Source of packages, instead of a mirror; only for an installer that supports it. */
  readonly packages?: PackageSet | undefined
  readonly runFolder: RunFolder
  readonly packer: PackerDialect
  /** Decides how to run a guest, by booting its kernel. */
  readonly acceleration: (kernel: string) => Promise<Acceleration>
  readonly emit: Emit
  /** Seconds that a part of a run took before, by name. */
  readonly estimate: (part: string) => number | undefined
  readonly signal: AbortSignal
}

export interface InstalledBase {
  readonly packages: PackageChange
  /** Where the partitions are; absent if they match the request's layout. */
  readonly layout?: Layout
  /** SHA-256 of the files that performed the installation, by name; absent if a tool of the host did. */
  readonly installerFiles?: Readonly<Record<string, string>>
  /** Path of the log. */
  readonly log: string
}
