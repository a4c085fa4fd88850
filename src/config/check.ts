/** A pipeline's own check, or one from a package: declared by a module and used in `pipeline.ts`. */

import type { z } from 'zod'
import type { ImageFiles } from '../disk/image-files.ts'
import { rememberCall } from './call-sites.ts'
import type { ImageFacts } from './image.ts'
import type { Settings, SettingsInput } from './stage.ts'

/** The result of a check. */
export interface CheckAnswer {
  /** What is wrong, one line each; empty if nothing is. */
  readonly faults: readonly string[]
  /** What was observed if nothing is wrong. */
  readonly observed: string
}

/** What a check declares about itself. */
export interface CheckSpec<Shape extends z.ZodRawShape> {
  /** Its id in results: lowercase letters, digits and underscores. */
  readonly name: string
  /** What must hold, in one line. */
  readonly title: string
  /** Zod shape of the settings. Unknown settings are a fault. */
  readonly settings?: Shape
  /** Examines the files of a finished image without booting it. An exception counts as a fault. */
  readonly run: (
    files: ImageFiles,
    settings: Settings<Shape>,
    image: ImageFacts,
  ) => CheckAnswer | Promise<CheckAnswer>
}

/** A check as a pipeline uses it: its declaration and the settings chosen there, not yet checked. */
export interface CheckUse {
  readonly name: string
  readonly spec: CheckSpec<z.ZodRawShape>
  readonly settings: Readonly<Record<string, unknown>>
}

/** What `defineCheck` returns: call it in `pipeline.ts` with the settings that differ from their defaults. */
export type CheckDefinition<Shape extends z.ZodRawShape> = (settings?: SettingsInput<Shape>) => CheckUse

/** Declares a check of the content of an image. */
export function defineCheck<const Shape extends z.ZodRawShape = Record<never, never>>(
  spec: CheckSpec<Shape>,
): CheckDefinition<Shape> {
  return (settings) => {
    const check: CheckUse = {
      name: spec.name,
      spec: spec as unknown as CheckSpec<z.ZodRawShape>,
      settings: (settings ?? {}) as Record<string, unknown>,
    }
    rememberCall(check)
    return check
  }
}
