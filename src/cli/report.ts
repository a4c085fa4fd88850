/** `report`: renders or opens the page of a report or a release. */

import { stat } from 'node:fs/promises'
import { dirname, join, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import { replaceDurably } from '../host/files.ts'
import { readJson } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { runFile } from '../host/process.ts'
import { noneIfNotReadable, readRegularText } from '../host/regular-file.ts'
import { findProgram } from '../host/tools.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import { outFolderOf, readPictures } from '../pages/pictures.ts'
import { renderRunPage } from '../pages/run-page.ts'
import { pageName, writeRunPages } from '../pages/write-page.ts'
import { renderReleasePage } from '../release/page.ts'
import { parseReleaseRecord, type ReleaseRecord, releaseFiles } from '../release/record.ts'
import { mostReportBytes, type Report, reportSchema } from '../report/report.ts'
import { withVerdicts } from '../verify/with-verdicts.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface ReportOptions {
  readonly out: string
  readonly since?: string
  readonly to?: string
  readonly open?: boolean
}

export function reportCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument(
      '[file...]',
      'report.json of a run, release.json, or a folder with one; by default that of --out',
    )
    .option('--out <folder>', 'output folder of builds', 'out')
    .option('--since <file>', 'an earlier report, to compare with')
    .option('--to <page>', 'file to write, instead of report.html next to its source')
    .option('--open', 'open the page in a browser')
    .action((files: string[], options: ReportOptions) => choose(() => showReports(files, options, terminal)))
}

async function showReports(
  files: readonly string[],
  options: ReportOptions,
  terminal: Terminal,
): Promise<number> {
  const places = files.length === 0 ? [outFolderAt(resolvePath(options.out)).report] : files
  if (options.to !== undefined && places.length > 1) throw oneFileOnly(places.length)
  const since = options.since === undefined ? undefined : await readSource(options.since)
  for (const place of places) {
    const page = await writePage(await readSource(place), since, options)
    terminal.out(`${page}\n`)
    if (options.open) await openPage(page)
  }
  return exitCodes.ok
}

/** What a page is made from. */
type Source =
  | { readonly kind: 'run'; readonly file: string; readonly report: Report }
  | { readonly kind: 'release'; readonly file: string; readonly record: ReleaseRecord }

/** @throws PipelineError `no-report` */
async function readSource(place: string): Promise<Source> {
  const file = await findFile(resolvePath(place))
  const value = await readJson(file, mostReportBytes)
  const report = reportSchema.safeParse(value)
  if (report.success) return { kind: 'run', file, report: report.data }
  const record = parseReleaseRecord(value)
  if (record !== undefined) return { kind: 'release', file, record }
  throw new PipelineError({
    code: 'no-report',
    message:
      value === undefined
        ? `there is no report ${file}, it is too large, or it is not JSON`
        : `${file} is not a report of a run or a release that this program can read`,
    hint: 'give a report.json, a release.json, or a folder with one; a build writes report.json to its output folder.',
    exitCode: exitCodes.badInput,
  })
}

async function findFile(path: string): Promise<string> {
  if (!(await isFolder(path))) return path
  const record = join(path, releaseFiles.record)
  return (await exists(record)) ? record : join(path, 'report.json')
}

/** Writes the page, or checks the one in a release. @returns its path */
async function writePage(source: Source, since: Source | undefined, { to }: ReportOptions): Promise<string> {
  if (since !== undefined && since.kind !== source.kind) throw notAlike(source, since)
  const page = to === undefined ? join(dirname(source.file), pageName) : resolvePath(to)
  if (source.kind === 'release') {
    const rendered = renderReleasePage(source.record, since?.kind === 'release' ? since.record : undefined)
    // A release has a checksum of its page, as of every other file.
    if (to === undefined) await requirePage(page, rendered)
    else await replaceDurably(page, rendered)
    return page
  }
  const outFolder = outFolderOf(source.file)
  const report = await withVerdicts(source.report, outFolder)
  const before = since?.kind === 'run' ? await withVerdicts(since.report, outFolderOf(since.file)) : undefined
  if (to === undefined) await writeRunPages(report, [source.file], before)
  else
    await replaceDurably(
      page,
      renderRunPage(report, { pictures: await readPictures(outFolder, report), since: before }),
    )
  return page
}

/**
 * A browser runs the scripts in a page, so the page must be exactly the one that this program renders.
 * @throws PipelineError `no-report`
 */
async function requirePage(page: string, expected: string): Promise<void> {
  const refuse = (message: string, hint: string) =>
    new PipelineError({ code: 'no-report', message, hint, exitCode: exitCodes.badInput })
  const text = await unlessMissing(
    page,
    async () => (await readRegularText(page, mostReportBytes).catch(noneIfNotReadable)) ?? '',
  )
  if (text === expected) return
  if (text === undefined)
    throw refuse(
      `the release in ${dirname(page)} has no report.html, and files cannot be added to a release`,
      'name another file to write with --to.',
    )
  throw refuse(
    `${page} is not the page that this version makes from ${releaseFiles.record}`,
    'if it lists changes since an earlier release, give that one with --since. Otherwise another version made the page, or someone changed it: write your own with --to.',
  )
}

/** @throws PipelineError `tools` */
async function openPage(page: string): Promise<void> {
  const program = await findProgram('xdg-open')
  const failed = (message: string, cause?: unknown) =>
    new PipelineError({
      code: 'tools',
      message,
      hint: `open ${page} in a browser yourself.`,
      exitCode: exitCodes.hostNotFit,
      cause,
    })
  if (program === undefined) throw failed('there is no xdg-open, which opens files on a desktop')
  await runFile(program, [page]).catch((cause: unknown) => {
    throw failed(`xdg-open could not open a browser for ${page}`, cause)
  })
}

function oneFileOnly(count: number): PipelineError {
  return new PipelineError({
    code: 'usage',
    message: `--to names one page, but there are ${count} reports`,
    exitCode: exitCodes.badInput,
  })
}

function notAlike(source: Source, since: Source): PipelineError {
  return new PipelineError({
    code: 'usage',
    message: `${source.file} is from a ${source.kind}, but ${since.file} is from a ${since.kind}: they cannot be compared`,
    exitCode: exitCodes.badInput,
  })
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}
