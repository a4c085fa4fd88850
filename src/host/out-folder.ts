/** The folder that builds write to, and nothing else does: every path in it, and what marks it. */

import { access, constants, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from './files.ts'

/** Paths below `out/`. Any of them may not be there yet. */
export interface OutFolder {
  readonly path: string
  /** Report of the last run. */
  readonly report: string
  /** Layers. */
  readonly store: string
  /** Saved states of guests, beside the layers that they belong to. */
  readonly states: string
  /** A folder for each run, by its id. */
  readonly runs: string
  /** Finished images, with their sums. */
  readonly images: string
  /** Where images lie while they are made. */
  readonly unfinishedImages: string
  /** Images as CloudStack's repositories have them. */
  readonly repository: string
  /** What each image was made from. */
  readonly inputs: string
  /** What images were found to be. */
  readonly verdicts: string
  readonly release: string
  /** Templates, rendered to be looked at. */
  readonly render: string
  readonly cache: CacheFolder
}

/** What is kept because it takes long to come by. */
export interface CacheFolder {
  readonly path: string
  /** Packages of Debian's, by apt's names. */
  readonly packages: string
  /** What debian-installer is booted with, by its sum. */
  readonly netboot: string
  /** What stages bring along, by its sum. */
  readonly files: string
  /** Disk images of others, by their sum, and what is downloaded of them so far. */
  readonly images: string
  /** Kernel of the last guest: what `doctor` proves the accelerator with. */
  readonly kernel: string
}

export function outFolderAt(path: string): OutFolder {
  const at = (...names: readonly string[]) => join(path, ...names)
  return Object.freeze({
    path,
    report: at('report.json'),
    store: at('store'),
    states: at('store', 'states'),
    runs: at('runs'),
    images: at('images'),
    unfinishedImages: at('images', '.unfinished'),
    repository: at('repository'),
    inputs: at('inputs'),
    verdicts: at('verdicts'),
    release: at('release'),
    render: at('render'),
    cache: Object.freeze({
      path: at('cache'),
      packages: at('cache', 'packages'),
      netboot: at('cache', 'netboot'),
      files: at('cache', 'files'),
      images: at('cache', 'images'),
      kernel: at('cache', 'kernel'),
    }),
  })
}

/** Every folder in which files or folders lie under temporary names while they are written. */
export async function foldersWrittenTo(out: OutFolder): Promise<readonly string[]> {
  const { cache } = out
  // Each medium has a folder of its own, into which its disc is downloaded.
  const media = await readdir(cache.netboot).catch(() => [])
  return [
    ...[out.path, out.images, out.inputs, out.verdicts, out.states],
    ...[cache.path, cache.packages, cache.netboot, cache.files, cache.images],
    ...media.map((name) => join(cache.netboot, name)),
  ]
}

/** Says in a folder that it is ours, for whoever is asked to remove things from it. */
export async function markOutput(outFolder: string): Promise<void> {
  await writeFile(
    join(outFolder, outputMark),
    'Written to by systemvm-image; see `systemvm-image clean --help`.\n',
  )
}

const outputMark = '.systemvm-image'

/** Whether a folder was ever built in. */
export async function isOutput(outFolder: string): Promise<boolean> {
  return (await stat(join(outFolder, outputMark)).catch(() => undefined)) !== undefined
}

/** @throws PipelineError `out-read-only` when it cannot be written, or is no folder */
export async function requireWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    // Opening it finds out what is no folder, too.
    await readdir(folder)
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new PipelineError({
      code: 'out-read-only',
      message: `cannot write in the output folder ${folder}: ${(cause as NodeJS.ErrnoException).code}`,
      hint: 'make it writable for you, or give another one with --out.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}
