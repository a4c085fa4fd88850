/** The folder that only builds write to: every path in it, and its marker file. */

import { access, constants, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from './files.ts'

/** Paths below `out/`. Any of them may not exist yet. */
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
  /** Finished images, with their checksums. */
  readonly images: string
  /** Images in progress. */
  readonly unfinishedImages: string
  /** Images in the layout of CloudStack's repositories. */
  readonly repository: string
  /** What each image was made from. */
  readonly inputs: string
  /** Results of verifying images. */
  readonly verdicts: string
  readonly release: string
  /** Rendered templates, for people. */
  readonly render: string
  readonly cache: CacheFolder
}

/** Files kept because they take long to get. */
export interface CacheFolder {
  readonly path: string
  /** Debian packages, under apt's names. */
  readonly packages: string
  /** What debian-installer is booted with, by checksum. */
  readonly netboot: string
  /** Files of stages, by checksum. */
  readonly files: string
  /** Disk images from elsewhere, by checksum, and their partial downloads. */
  readonly images: string
  /** Kernel of the last guest, by checksum, which `doctor` boots to test the accelerator. */
  readonly kernels: string
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
      kernels: at('cache', 'kernels'),
    }),
  })
}

/** Every folder that holds temporary names while files or folders are written. */
export async function foldersWrittenTo(out: OutFolder): Promise<readonly string[]> {
  const { cache } = out
  // Each medium has a folder of its own, into which its disc is downloaded.
  const media = await readdir(cache.netboot).catch(() => [])
  return [
    ...[out.path, out.images, out.inputs, out.verdicts, out.states],
    ...[cache.path, cache.packages, cache.netboot, cache.files, cache.images, cache.kernels],
    ...media.map((name) => join(cache.netboot, name)),
  ]
}

/** Marks a folder as ours, so that later commands may delete from it. */
export async function markOutput(outFolder: string): Promise<void> {
  await writeFile(
    join(outFolder, outputMark),
    'Written to by systemvm-image; see `systemvm-image clean --help`.\n',
  )
}

const outputMark = '.systemvm-image'

/** Whether a folder has ever been built in. */
export async function isOutput(outFolder: string): Promise<boolean> {
  return (await stat(join(outFolder, outputMark)).catch(() => undefined)) !== undefined
}

/** @throws PipelineError `out-read-only` if it is not writable, or not a folder */
export async function requireWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    // Fails for anything that is not a folder, too.
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
