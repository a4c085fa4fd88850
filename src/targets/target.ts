/** What a target is: everything this product knows about one kind of image file, in one value. */

import type { z } from 'zod'
import type { Arch } from '../arch.ts'
import type { Json } from '../digest.ts'
import type { Partition } from '../disk/layout.ts'
import type { Grain } from '../formats/grains.ts'
import type { RawDisk } from '../formats/raw-disk.ts'
import type { DiskSizes } from '../formats/sizes.ts'
import type { DeviceModel } from './device-model.ts'
import type { TargetCheck } from './file-check.ts'

/** How a file is packed. */
export type Archive = 'none' | 'bz2' | 'zip'

/** Settings of any target. A target whose file can be packed has a setting `archive` of type {@link Archive}. */
export type TargetSettings = object

/** What a file is made from, in addition to the disk. */
export interface FileSource<Settings> {
  readonly settings: Settings
  /** The part of every file's name before `-<suffix>`, and the virtual machine's name in an OVA. */
  readonly fileName: string
  /** Timestamp in the file: seconds since 1970. */
  readonly sourceDateEpoch: number
}

export interface WriteJob<Settings> extends FileSource<Settings> {
  readonly disk: RawDisk
  /** Seed of the identifiers in the file: the same for the same content. */
  readonly key: string
  /** Compressed once for all targets that use them. Can be read once. */
  readonly grains: AsyncIterable<Grain> | undefined
  /** Called with the share that is done, from 0 to 1. */
  readonly onProgress: (fraction: number) => void
  readonly signal: AbortSignal
}

/** Decisions made elsewhere that may not suit a target. Undefined: unknown, as for any other disk. */
export interface Surroundings {
  readonly diskMiB?: number
  readonly partitions?: readonly Pick<Partition, 'mount'>[]
  readonly kernelPackage?: string
  /** The date of the files in seconds since 1970, and where it comes from. */
  readonly epoch?: { readonly seconds: number; readonly source: 'date' | 'SOURCE_DATE_EPOCH' }
  /** Present only if a user chose it freely. */
  readonly fileName?: string
}

/** A rule that is broken. */
export interface BrokenRule {
  /** Path of the value in the pipeline, e.g. `['formats', 'vmware', 'nic']`. */
  readonly path: readonly PropertyKey[]
  readonly rule: string
  readonly found: unknown
}

/** How CloudStack knows a hypervisor whose template is made from the file. */
export interface Hypervisor {
  /** Its name in `metadata.ini`. */
  readonly name: string
  /** Guest OS, as named in CloudStack's database. CloudStack ignores names that it does not know. */
  readonly guestOs: string
  /** @default the target's */
  readonly archs?: readonly Arch[]
}

/** How much room a file takes: compressed data, whole blocks, or none if the flattened disk becomes the file. */
export type Storage = 'compressed' | 'blocks' | 'flattened'

/** One target. Its functions get only the settings of this target. */
export interface Target<
  Name extends string = string,
  Settings extends z.ZodType<TargetSettings> = z.ZodType<TargetSettings>,
  Model extends string = string,
  Scene extends string = string,
  CheckId extends string = string,
> {
  readonly name: Name
  /** Position among the targets, in lists and when one of several files is read: the fastest to read comes first. */
  readonly rank: number

  /** Architectures that its hypervisor supports. */
  readonly archs: readonly Arch[]

  /** Schema of `formats.<name>`; every setting has a default. */
  readonly settings: Settings
  /** Rules that settings break in combination, or together with their surroundings. @default none */
  brokenRules?(settings: z.output<Settings>, surroundings: Surroundings): readonly BrokenRule[]
  /** Settings that `formats: 'cloudstack'` stands for: as in CloudStack's package builds. @default none */
  readonly cloudstack?: z.input<Settings>

  /** Format of the file, as named in reports. */
  format(settings: z.output<Settings>): string
  /** Suffix of the file's name, without an archive's. */
  suffix(settings: z.output<Settings>): string
  /** How a file is recognized, in lower case: by a part of its name, or by an extension that usually means this target. */
  readonly names: { readonly part: RegExp; readonly ending?: RegExp }
  /** Raise this when the writer makes different bytes from the same disk: existing files are then rewritten. */
  readonly revision: number
  /** What the file depends on in addition to the disk. @default its settings */
  dependsOn?(source: FileSource<z.output<Settings>>): Json
  /** Whether it stores compressed grains, which are then shared with other targets. @default false */
  takesGrains?(settings: z.output<Settings>): boolean
  /** Writes the file, checks it and compares it with the disk. After a failure, part of it may be left. */
  write(job: WriteJob<z.output<Settings>>, file: string): Promise<void>
  readonly storage: Storage
  /** Disk sizes that the format can express exactly. @default all */
  diskSizes?(settings: z.output<Settings>): DiskSizes

  /** Hypervisors whose template is this file. @default none: CloudStack does not register it */
  readonly hypervisors?: readonly Hypervisor[]

  /** Machines that the file is booted in, by name. */
  readonly deviceModels: { readonly [Name in Model]?: DeviceModel }
  /** The model for scenes that do not choose one. Settings are undefined for files from elsewhere. */
  deviceModelFor(settings: z.output<Settings> | undefined): NoInfer<Model>
  /** The same with UEFI firmware, which starts any boot loader, or only signed ones. @default none */
  readonly uefiModels?: { readonly [Kind in 'plain' | 'secure']?: NoInfer<Model> }
  /** Scenes that guests booted from the file go through. */
  readonly scenes: readonly Scene[]
  /** Checks of the file itself, by assertion. Does not list the checks that every file gets. */
  readonly checks: { readonly [Id in CheckId]?: TargetCheck<z.output<Settings>> }
}

/** Only adds types to a target. */
export function defineTarget<
  const Name extends string,
  Settings extends z.ZodType<TargetSettings>,
  const Model extends string,
  const Scene extends string,
  const CheckId extends string,
>(target: Target<Name, Settings, Model, Scene, CheckId>): Target<Name, Settings, Model, Scene, CheckId> {
  return target
}
