/** A stage: one provisioner script with typed settings, declared by `provisioners/<name>.ts` and used in `pipeline.ts`. */

import { z } from 'zod'
import { rememberCall } from './call-sites.ts'
import type { FileKind } from './file-source.ts'
import type { ImageFacts } from './image.ts'

/** The settings that a stage's author declared, as a person writes them in `pipeline.ts` (defaults omitted). */
export type SettingsInput<Shape extends z.ZodRawShape> = z.input<z.ZodObject<Shape>>

/** The same settings with every default filled in. */
export type Settings<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>

/** What a stage declares about itself. Its functions get the settings and the facts about the image. */
export interface StageSpec<Shape extends z.ZodRawShape> {
  /** Also the script's file name: `<name>.sh` next to the module that declares the stage. */
  readonly name: string
  /** What the stage leaves behind, in one line. */
  readonly summary: string
  /** `import.meta.url` of the declaring module; the script and `files` are relative to it. */
  readonly from: string
  /** Zod shape of the settings. Unknown settings are a fault. */
  readonly settings?: Shape
  /** The script's environment, in addition to `PATH` and the other variables that `docs/stages.md` lists. */
  readonly environment?: (settings: Settings<Shape>, image: ImageFacts) => Readonly<Record<string, string>>
  /** Debian packages the script needs. They are installed with layer 0, before any stage runs. */
  readonly packages?: (settings: Settings<Shape>, image: ImageFacts) => readonly string[]
  /** Absolute guest paths (files, links, or folders) that exist once the script has succeeded; each is checksummed. */
  readonly leaves?: (settings: Settings<Shape>, image: ImageFacts) => readonly string[]
  /**
   * Host folders delivered into the guest, by name: `{ payload: './payload' }` is unpacked at `$STAGE_FILES/payload`, owned
   * by root, with its modes. Paths are relative to the declaring module. A tarball can replace a folder, as a path or as a
   * URL that ends in `#sha256=` or `#sha512=` and its checksum.
   */
  readonly files?: (settings: Settings<Shape>, image: ImageFacts) => Readonly<Record<string, string>>
  /** The kind of source of each of `files`, by name. @default 'tree' */
  readonly fileKinds?: Readonly<Record<string, FileKind>>
  /**
   * Names allowed at the top level of each of `files`, to catch a folder one level too high or too low before it is built in.
   */
  readonly filesTop?: Readonly<Record<string, readonly string[]>>
  /** Whether the script uses the network. Other stages cannot resolve names. @default false */
  readonly network?: boolean
  /** The stage fails if it runs longer; time spent waiting for a CPU on a busy host does not count. @default 900 */
  readonly timeoutSeconds?: number
  /** Whether this image includes the stage at all. @default always */
  readonly when?: (settings: Settings<Shape>, image: ImageFacts) => boolean
}

/** A stage as a pipeline uses it: its declaration and the settings chosen there, not yet checked. */
export interface StageUse {
  readonly name: string
  readonly spec: StageSpec<z.ZodRawShape>
  readonly settings: Readonly<Record<string, unknown>>
}

/** What `defineStage` returns: call it in `pipeline.ts` with the settings that differ from their defaults. */
export interface StageDefinition<Shape extends z.ZodRawShape> {
  (settings?: SettingsInput<Shape>): StageUse
  readonly spec: StageSpec<Shape>
}

/** Declares a stage. The result is a function, so that a misspelled stage or setting in `pipeline.ts` does not compile. */
export function defineStage<const Shape extends z.ZodRawShape = Record<never, never>>(
  spec: StageSpec<Shape>,
): StageDefinition<Shape> {
  const use = (settings?: SettingsInput<Shape>): StageUse => {
    const stage: StageUse = {
      name: spec.name,
      spec: spec as unknown as StageSpec<z.ZodRawShape>,
      settings: (settings ?? {}) as Record<string, unknown>,
    }
    rememberCall(stage)
    return stage
  }
  return Object.assign(use, { spec })
}

export { z }
