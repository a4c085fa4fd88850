/**
 * The public interface of this package, `import … from 'systemvm-image'`, for a `pipeline.ts`, its stages and its checks.
 * Everything else in `src/` is internal. `docs/package.md` says what each version guarantees.
 */

export type { Arch, DebianArch } from './arch.ts'
export {
  type CheckAnswer,
  type CheckDefinition,
  type CheckSpec,
  type CheckUse,
  defineCheck,
} from './config/check.ts'
export type { FileKind } from './config/file-source.ts'
export type { Account, ImageFacts, Mirror, Suite } from './config/image.ts'
export { kernelModules } from './config/left-out.ts'
export { definePipeline, type Pipeline } from './config/pipeline.ts'
export {
  defineStage,
  type Settings,
  type SettingsInput,
  type StageDefinition,
  type StageSpec,
  type StageUse,
  z,
} from './config/stage.ts'
export type { FileEntry, ImageFiles, PartitionFacts } from './disk/image-files.ts'
export type { Disk, Partition } from './disk/layout.ts'
export type { TargetName } from './targets/registry.ts'
