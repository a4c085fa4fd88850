/** Options shared by several verbs. */

import { basename, resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Arch, archNames, archs } from '../arch.ts'
import { type NamedInstaller, namedInstallers } from '../config/installer.ts'
import { chooseImages, defaultPipeline, type Import, loadPipeline } from '../config/load.ts'
import { isUnresolved } from '../config/mirror.ts'
import { type Overrides, parseAssignment, readOverrides } from '../config/overrides.ts'
import type { ResolvedImage, ResolvedPipeline } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { outFolderAt, requireOwnFolders } from '../host/out-folder.ts'
import { requireKnownAnswers } from '../installers/debian-installer/extra-answers.ts'
import { withInstallerStages } from '../installers/index.ts'
import { lockPath, readLock, snapshotsIn } from '../provenance/lock.ts'
import { isUrl } from '../redact.ts'
import { chooseContract } from '../stage-files/choose-contract.ts'
import { provideFiles } from '../stage-files/provide-files.ts'
import type { Missing } from '../stage-files/provide-source.ts'
import { type TargetName, targetNames, targets } from '../targets/registry.ts'

export interface PipelineOptions {
  readonly pipeline: string
  readonly config: readonly string[]
  readonly set: readonly string[]
  readonly payload?: string
  readonly targets?: readonly TargetName[]
  readonly installer?: NamedInstaller
  readonly variant: readonly string[]
  readonly all?: boolean
  readonly out: string
}

/** Collects the values of a repeatable option. */
export const collect = (value: string, before: readonly string[]) => [...before, value]

/** Parses target names separated by commas. */
export function parseTargets(text: string): readonly TargetName[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !targetNames.some((target) => target === name))
  if (unknown !== undefined)
    throw new InvalidArgumentError(
      `It names ${JSON.stringify(unknown)}, which is not one of ${targetNames.join(', ')}.`,
    )
  return [...new Set(names)] as TargetName[]
}

/** The absolute path that an option gives. */
export function pathOf(option: string | undefined): string | undefined {
  return option === undefined ? undefined : resolvePath(option)
}

/** The option that skips the detection of KVM. */
export function acceleratorOption(): Option {
  return new Option('--accelerator <name>', 'use this accelerator instead of testing KVM').choices([
    'kvm',
    'tcg',
  ])
}

/** The architecture of an image that no pipeline here built, if the file name does not include it. */
export function archOption(): Option {
  return new Option('--arch <name>', 'architecture, if the name of the file does not say').choices([
    ...archNames,
  ])
}

/** The architecture in a file name, written as in image names or as in Debian; x86_64 if there is none. */
export function archOfName(file: string): Arch {
  const words = basename(file)
    .toLowerCase()
    .split(/[^a-z0-9_]+/)
  return archNames.find((arch) => words.includes(arch) || words.includes(archs[arch].debianArch)) ?? 'x86_64'
}

/** Adds the options for the pipeline, its values, and the output folder. @param out the default folder */
export function addPipelineOptions(command: Command, out = 'out'): Command {
  return command
    .option('--pipeline <file>', 'pipeline to use', defaultPipeline)
    .option(
      '--config <file>',
      'YAML file with values that override the pipeline; may be repeated',
      collect,
      [],
    )
    .option(
      '--set <path=value>',
      'override one value, e.g. --set machine.cpus=4; may be repeated',
      collect,
      [],
    )
    .option(
      '--payload <source>',
      "folder, tarball or URL#sha256=… of CloudStack's sources or scripts, instead of this project's own",
    )
    .option(
      '--targets <list>',
      `targets to make files for, instead of those in the pipeline: some of ${targetNames.join(',')}`,
      parseTargets,
    )
    .addOption(
      new Option('--installer <name>', "how layer 0 is made, instead of the pipeline's setting").choices(
        namedInstallers,
      ),
    )
    .option('--variant <name>', 'variant, e.g. bookworm-x86_64; may be repeated', collect, [])
    .option('--all', 'all variants of the pipeline')
    .option('--out <folder>', 'folder that everything is written to', out)
}

export interface Chosen {
  readonly pipeline: ResolvedPipeline
  readonly images: readonly ResolvedImage[]
  readonly outFolder: string
}

/**
 * Loads the pipeline that the options name.
 * @param missing whether to download the files of stages that are not there yet
 * @param snapshots for `mirror.snapshot: 'latest'`: the instant for each variant, instead of those in the lock
 * @param load imports the pipeline's module; by default, an import is cached
 * @throws PipelineError `snapshot-unresolved`, and the errors of reading and resolving
 */
export async function choosePipeline(
  options: PipelineOptions,
  missing: Missing = 'leave out',
  snapshots?: ReadonlyMap<string, string>,
  load?: Import,
): Promise<Chosen> {
  const files = await Promise.all(options.config.map(readOverrides))
  const overrides: Overrides[] = [
    ...files,
    ...options.set.map(parseAssignment),
    ...(options.targets === undefined ? [] : [{ source: '--targets', values: { targets: options.targets } }]),
    ...(options.installer === undefined
      ? []
      : [{ source: '--installer', values: { installer: options.installer } }]),
  ]
  // A path is relative to the current folder, as for any other option.
  const payload =
    options.payload === undefined || isUrl(options.payload) ? options.payload : resolvePath(options.payload)
  const read = (instants?: ReadonlyMap<string, string>) =>
    loadPipeline(options.pipeline, overrides, payload, instants, load)
  const written = await read(snapshots)
  const isOpen = snapshots === undefined && written.images.some(({ mirror }) => isUnresolved(mirror))
  const pipeline = isOpen ? await read(await lockedSnapshots(options)) : written
  const chosen = chooseImages(pipeline, options.variant, options.all ?? false)
  if (snapshots === undefined) for (const image of chosen) requireResolved(image, options)
  requireKnownAnswers(chosen, overrides)
  const outFolder = resolvePath(options.out)
  await requireOwnFolders(outFolderAt(outFolder))
  const provided = await provideFiles(pipeline.images, outFolderAt(outFolder).cache.files, missing)
  const complete = (await Promise.all(provided.map(chooseContract))).map(withInstallerStages)
  const isChosen = ({ variant }: ResolvedImage) => chosen.some((image) => image.variant === variant)
  const images = complete.map((image) => withTargets(image, options.targets, isChosen(image)))
  return {
    pipeline: { ...pipeline, images },
    images: images.filter(isChosen),
    outFolder,
  }
}

// --- internal ---

/** Applies `--targets`, even to an architecture with targets of its own. @throws PipelineError `usage` */
function withTargets(
  image: ResolvedImage,
  asked: readonly TargetName[] | undefined,
  isChosen: boolean,
): ResolvedImage {
  const { arch, variant } = image
  const foreign = asked?.filter((name) => !targets[name].archs.includes(arch)) ?? []
  if (asked === undefined || (foreign.length > 0 && !isChosen)) return image
  if (foreign.length === 0) return { ...image, targets: asked }
  const possible = targetNames.filter((name) => targets[name].archs.includes(arch))
  throw new PipelineError({
    code: 'usage',
    message: `${foreign.join(', ')} cannot be made for ${arch}, and so not for ${variant}`,
    hint: `give --targets ${possible.join(',')} for that variant, or leave it out.`,
    exitCode: exitCodes.badInput,
  })
}

async function lockedSnapshots(options: PipelineOptions): Promise<ReadonlyMap<string, string>> {
  try {
    return snapshotsIn((await readLock(lockPath(options))).lock)
  } catch (error) {
    if (error instanceof PipelineError && error.code === 'lock-missing') return new Map()
    throw error
  }
}

function requireResolved({ variant, mirror }: ResolvedImage, options: PipelineOptions): void {
  if (!isUnresolved(mirror)) return
  throw new PipelineError({
    code: 'snapshot-unresolved',
    message: `mirror.snapshot is latest, but ${lockPath(options)} does not say which instant that is for ${variant}`,
    hint: `choose the newest: npm run image -- lock update --bump --variant ${variant}`,
    exitCode: exitCodes.badInput,
  })
}
