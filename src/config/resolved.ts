/** The configuration after `resolve`: complete, with nothing left to decide. */

import type { ImageFiles } from '../disk/image-files.ts'
import type { CheckAnswer } from './check.ts'
import type { FileKind, FileSource } from './file-source.ts'
import type { ImageFacts } from './image.ts'
import type { InstallerName } from './installer.ts'
import type { PipelineFields } from './pipeline.ts'

/** One stage of one image, with everything decided. */
export interface ResolvedStage {
  readonly name: string
  readonly summary: string
  /** Absolute path of the script on the host. */
  readonly script: string
  readonly settings: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string>>
  readonly packages: readonly string[]
  readonly leaves: readonly string[]
  /** Host folders by their names under `$STAGE_FILES`, as absolute paths. Before `provideFiles`, also tarballs and URLs. */
  readonly files: Readonly<Record<string, string>>
  /** The same, as originally written. */
  readonly sources: Readonly<Record<string, string>>
  /** Names of files not downloaded; read-only verbs do without them. @default none */
  readonly absent?: readonly string[] | undefined
  /** The kind of each file, unless it is a tree. */
  readonly fileKinds: Readonly<Record<string, FileKind>>
  /** Names allowed at the top level of each folder, if restricted. */
  readonly filesTop: Readonly<Record<string, readonly string[]>>
  readonly network: boolean
  readonly timeoutSeconds: number
}

/** Defaults of a stage that needs nothing but its script. The program's own stages, which no pipeline lists, extend them. */
export const plainStage = {
  settings: {},
  environment: {},
  packages: [],
  leaves: [],
  files: {},
  sources: {},
  fileKinds: {},
  filesTop: {},
  network: true,
  timeoutSeconds: 3600,
} as const satisfies Partial<ResolvedStage>

/** One of a pipeline's own checks, with its settings and its image. */
export interface ResolvedCheck {
  readonly name: string
  readonly title: string
  readonly run: (files: ImageFiles) => Promise<CheckAnswer>
}

/** One image with everything decided: the only configuration that code past `resolve` sees. */
export interface ResolvedImage extends ImageFacts {
  readonly installer: InstallerName
  /** The disk image that layer 0 is made from; undefined if an installer makes it from packages. */
  readonly baseImage: FileSource | undefined
  readonly debianInstaller: PipelineFields['debianInstaller']
  /** Patterns of files that dpkg does not unpack. */
  readonly leaveOut: readonly string[]
  readonly machine: PipelineFields['machine']
  readonly formats: PipelineFields['formats']
  readonly verification: PipelineFields['verification']
  readonly waivers: PipelineFields['waivers']
  readonly freshness: PipelineFields['freshness']
  /** Distinguishes images of one architecture. */
  readonly label: string | undefined
  readonly downloadUrl: string | undefined
  readonly repository: boolean
  /** Whether the final disk is recreated from its files. */
  readonly reproducible: boolean
  readonly stages: readonly ResolvedStage[]
  readonly checks: readonly ResolvedCheck[]
  /** File name of an image without `-<target>.<extension>`. */
  readonly fileName: string
}

/** All images of a pipeline, the default first. */
export interface ResolvedPipeline {
  readonly name: string
  /** Limit for the layers after a build, not counting those in use. */
  readonly maximumStoreBytes: number | undefined
  readonly images: readonly ResolvedImage[]
}
