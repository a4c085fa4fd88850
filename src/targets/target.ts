/** What a target is: all that this product knows of one kind of image file, in one value. */

import type { z } from 'zod'
import type { Json } from '../digest.ts'
import type { Partition } from '../disk/layout.ts'
import type { Grain } from '../formats/grains.ts'
import type { RawDisk } from '../formats/raw-disk.ts'
import type { DiskSizes } from '../formats/sizes.ts'
import type { DeviceModel } from './device-model.ts'
import type { FileCheck } from './file-check.ts'

/** How a file is packed once more. */
export type Archive = 'none' | 'bz2' | 'zip'

/** Settings of any target. One that is packed on demand has an {@link Archive} among them, called `archive`. */
export type TargetSettings = object

/** What a file is made from beside the disk. */
export interface FileSource<Settings> {
  readonly settings: Settings
  /** Name of every file without `-<suffix>`, and of the virtual machine in an OVA. */
  readonly fileName: string
  /** What the file says of its age: seconds since 1970. */
  readonly sourceDateEpoch: number
}

export interface WriteJob<Settings> extends FileSource<Settings> {
  readonly disk: RawDisk
  /** What identifiers in the file follow from: the same for the same content. */
  readonly key: string
  /** Compressed once for all targets that take them; read once by each. */
  readonly grains: AsyncIterable<Grain> | undefined
  /** Told how much is done, from 0 to 1. */
  readonly onProgress: (fraction: number) => void
  readonly signal: AbortSignal
}

/** What is decided elsewhere and may not suit a target. Undefined is what nobody knows, as of any other disk. */
export interface Surroundings {
  readonly diskMiB?: number
  readonly partitions?: readonly Pick<Partition, 'mount'>[]
  readonly kernelPackage?: string
  readonly date?: string
  readonly sourceDateEpoch?: number
  /** Where it is a person's choice, and not made of parts that are checked. */
  readonly fileName?: string
}

/** A rule that is broken. */
export interface BrokenRule {
  /** Of the value in the pipeline, e.g. `['formats', 'vmware', 'nic']`. */
  readonly path: readonly PropertyKey[]
  readonly rule: string
  readonly found: unknown
}

/** How CloudStack knows a hypervisor whose template is made of the file. */
export interface Hypervisor {
  /** As `metadata.ini` calls it. */
  readonly name: string
  /** The guest operating system that CloudStack shows, as its database calls it. A name that it does not know is passed over. */
  readonly guestOs: string
}

/** How much room a file takes: its data compressed, whole blocks of it, or none, where the flattened disk becomes the file. */
export type Storage = 'compressed' | 'blocks' | 'flattened'

/** One target, and how everything about its files is done. A function is given the settings of this target alone. */
export interface Target<
  Name extends string = string,
  Settings extends z.ZodType<TargetSettings> = z.ZodType<TargetSettings>,
  Model extends string = string,
  Scene extends string = string,
  CheckId extends string = string,
> {
  readonly name: Name
  /** Place among the targets, in lists and where one of several files is read: the quickest to read first. */
  readonly rank: number

  /** What `formats.<name>` may say, every setting with a default. */
  readonly settings: Settings
  /** Rules that settings break together, or with what is decided elsewhere. @default none */
  brokenRules?(settings: z.output<Settings>, surroundings: Surroundings): readonly BrokenRule[]
  /** What `formats: 'cloudstack'` sets: the form that CloudStack's package builds and servers have. @default nothing */
  readonly cloudstack?: z.input<Settings>

  /** Format of the file, as reports name it. */
  format(settings: z.output<Settings>): string
  /** CloudStack's end of the file's name, before an archive's. */
  suffix(settings: z.output<Settings>): string
  /** Parts of a name, in lower case, that say what a file is for, by CloudStack's custom; and endings that nearly always do. */
  readonly names: { readonly part: RegExp; readonly ending?: RegExp }
  /** Raised whenever the writer makes other bytes of the same disk: files of before it are then made anew. */
  readonly revision: number
  /** What the file depends on beside the disk. @default its settings */
  dependsOn?(source: FileSource<z.output<Settings>>): Json
  /** Whether it stores compressed grains, which others may read beside it. @default false */
  takesGrains?(settings: z.output<Settings>): boolean
  /** When it returns, the file is checked and compared with the disk; when it fails, there may be half of it. */
  write(job: WriteJob<z.output<Settings>>, file: string): Promise<void>
  readonly storage: Storage
  /** Sizes of a disk that the file can say exactly, so that no reader rounds them. @default all */
  diskSizes?(settings: z.output<Settings>): DiskSizes

  /** Whose templates it makes. @default nobody's: CloudStack does not register it */
  readonly hypervisors?: readonly Hypervisor[]

  /** Machines that the file is booted in, by name. */
  readonly deviceModels: { readonly [Name in Model]?: DeviceModel }
  /** The one for scenes that do not choose. Settings are undefined where nobody knows them. */
  deviceModelFor(settings: z.output<Settings> | undefined): NoInfer<Model>
  /** What is looked at in guests booted from the file. */
  readonly scenes: readonly Scene[]
  /** What the contract asks of the file itself, by assertion. What is asked of every file, no target names. */
  readonly checks: { readonly [Id in CheckId]?: FileCheck<z.output<Settings>> }
}

/** Types a target; does nothing else. */
export function defineTarget<
  const Name extends string,
  Settings extends z.ZodType<TargetSettings>,
  const Model extends string,
  const Scene extends string,
  const CheckId extends string,
>(target: Target<Name, Settings, Model, Scene, CheckId>): Target<Name, Settings, Model, Scene, CheckId> {
  return target
}
