/** The configuration after `resolve`: nothing in it is optional, and nothing of it has to be asked again. */

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
  /**
   * Host folders by the name they have under `$STAGE_FILES`: absolute paths. Until `bringFiles`, also tarballs and URLs.
   */
  readonly files: Readonly<Record<string, string>>
  /** The same as they were written. */
  readonly sources: Readonly<Record<string, string>>
  /** Names of those that are not downloaded; a verb that only looks does without them. @default none */
  readonly absent?: readonly string[] | undefined
  /** What each of them stands for, where it is no tree. */
  readonly fileKinds: Readonly<Record<string, FileKind>>
  /** Names that are allowed at the top of one of these folders, where only some are. */
  readonly filesTop: Readonly<Record<string, readonly string[]>>
  readonly network: boolean
  readonly timeoutSeconds: number
}

/** One image with everything decided: the only configuration that code past `resolve` sees. */
export interface ResolvedImage extends ImageFacts {
  readonly installer: InstallerName
  /** The disk image that layer 0 is made of; undefined where an installer makes it from packages. */
  readonly baseImage: FileSource | undefined
  readonly debianInstaller: PipelineFields['debianInstaller']
  readonly machine: PipelineFields['machine']
  readonly formats: PipelineFields['formats']
  readonly verification: PipelineFields['verification']
  readonly waivers: PipelineFields['waivers']
  /** Tells apart images of one architecture. */
  readonly label: string | undefined
  readonly downloadUrl: string | undefined
  readonly repository: boolean
  readonly stages: readonly ResolvedStage[]
  /** File name of an image without `-<target>.<extension>`. */
  readonly fileName: string
}

/** All images of a pipeline, the default first. */
export interface ResolvedPipeline {
  readonly name: string
  /** The most that layers may take when a build has ended, those in use aside. */
  readonly maximumStoreBytes: number | undefined
  readonly images: readonly ResolvedImage[]
}
