/** The folder that only builds write to: all paths in it, and its marker file. */

import { access, constants, lstat, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { requireClosed } from './closed-folder.ts'
import { reasonOf } from './failures.ts'
import { makeFolder, writeDurably } from './files.ts'
import { namesIn } from './unless-missing.ts'

/** Paths below `out/`. Any of them may not exist yet. */
export interface OutFolder {
  readonly path: string
  /** Report of the last run. */
  readonly report: string
  /** The same as a web page. */
  readonly reportPage: string
  /** Layers. */
  readonly store: string
  /** Saved states of guests, next to the layers that they belong to. */
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

/** Files that are kept because they take long to download. */
export interface CacheFolder {
  readonly path: string
  /** Debian packages, under apt's names. */
  readonly packages: string
  /** Files to boot debian-installer with, by checksum. */
  readonly netboot: string
  /** Files of stages, by checksum. */
  readonly files: string
  /** Disk images from elsewhere, by checksum, and their partial downloads. */
  readonly images: string
  /** Release files and package indexes that mirrors have served. */
  readonly archives: string
  /** Kernel of the last guest, by checksum, which `doctor` boots to test the accelerator. */
  readonly kernels: string
}

export function outFolderAt(path: string): OutFolder {
  const at = (...names: readonly string[]) => join(path, ...names)
  return Object.freeze({
    path,
    report: at('report.json'),
    reportPage: at('report.html'),
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
      archives: at('cache', 'archives'),
      kernels: at('cache', 'kernels'),
    }),
  })
}

/** Every folder that holds temporary names while files or folders are written. */
export async function foldersWrittenTo(out: OutFolder): Promise<readonly string[]> {
  const { cache } = out
  // Each medium has its own folder, into which its disc is downloaded.
  const media = await readdir(cache.netboot).catch(() => [])
  return [
    ...[out.path, out.images, out.inputs, out.verdicts, out.states],
    ...[cache.path, cache.packages, cache.netboot, cache.files, cache.images, cache.archives, cache.kernels],
    ...media.map((name) => join(cache.netboot, name)),
  ]
}

/**
 * Requires that no folder in `out/` is a link, before anything is written to it or removed from it: a folder from elsewhere
 * could lead to any of the user's files. `out/` itself may be a link, since the user names it. Nor may strangers write there.
 * @throws PipelineError `out-linked`, `out-open`, `not-output` for a file
 */
export async function requireOwnFolders(out: OutFolder): Promise<void> {
  const { path, cache, report: _report, reportPage: _page, ...folders } = out
  await requireFolder(path)
  const inside = [...Object.values(folders), ...Object.values(cache)]
  await requireUnlinked(...inside)
  await requireClosed(path, inside)
  // Only runs, variants, releases and media choose the names of the folders inside.
  for (const folder of [out.runs, out.render, out.repository, cache.netboot])
    await requireUnlinked(...(await namesIn(folder)).map((name) => join(folder, name)))
}

/** A file in its place would look like an empty output folder. */
async function requireFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || found.isDirectory()) return
  throw new PipelineError({
    code: 'not-output',
    message: `the output folder ${path} is not a folder`,
    hint: 'give another one with --out.',
    exitCode: exitCodes.badInput,
  })
}

/** @throws PipelineError `out-linked` if any of these paths is a link */
export async function requireUnlinked(...paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const found = await lstat(path).catch(() => undefined)
    if (found?.isSymbolicLink() !== true) continue
    throw new PipelineError({
      code: 'out-linked',
      message: `${path} is a symbolic link: nothing is written or removed where it leads`,
      hint: 'remove the link. To have the files on another disk, make the whole output folder a link, or use --out.',
      exitCode: exitCodes.badInput,
      details: { path },
    })
  }
}

/** Marks a folder as ours, so that later commands may delete from it. */
export async function markOutput(outFolder: string): Promise<void> {
  await writeDurably(
    join(outFolder, outputMark),
    'Written to by systemvm-image; see `systemvm-image clean --help`.\n',
  )
}

const outputMark = '.systemvm-image'

/** Whether there has ever been a build in a folder. */
export async function isOutput(outFolder: string): Promise<boolean> {
  return (await stat(join(outFolder, outputMark)).catch(() => undefined)) !== undefined
}

/** @throws PipelineError `out-read-only` if it is not writable, or not a folder */
export async function requireWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder)
    // Also fails for anything that is not a folder.
    await readdir(folder)
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new PipelineError({
      code: 'out-read-only',
      message: `cannot write in the output folder ${folder}: ${reasonOf(cause)}`,
      hint: 'make it writable, or give another one with --out.',
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  }
}
