/** `publish`: copies a release to a folder or bucket where others can find it. */

import { join, relative, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import type { Destination } from '../publish/destination.ts'
import { folderDestination } from '../publish/folder.ts'
import { type PublishPlan, planPublishing, publish } from '../publish/publish.ts'
import { type ReleaseToPublish, readReleaseFiles } from '../publish/release-files.ts'
import { formatBytes, plural } from '../report/format.ts'
import { untilInterrupted } from './interrupt.ts'
import { liveLineOf, type Terminal, warn } from './terminal.ts'
import type { Choose } from './verb.ts'
import type { LiveLine } from './views/live-line.ts'
import { createTransferView } from './views/transfer.ts'

interface PublishOptions {
  readonly to: string
  readonly endpoint?: string
  readonly region?: string
  readonly replace?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

export function publishCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument('<folder>', 'folder of the release')
    .requiredOption(
      '--to <place>',
      'folder of a web server, or s3://bucket/prefix; the files go to <major.minor> in it',
    )
    .option(
      '--endpoint <address>',
      'object store, e.g. https://s3.example.org; by default AWS_ENDPOINT_URL, or AWS',
    )
    .option('--region <region>', 'region of the bucket; by default AWS_REGION, or that of the profile')
    .option('--replace', 'remove another release that is there, and publish this one in its place')
    .option('--dry-run', 'show what would be sent; change nothing')
    .option('--json', 'print what was done with each file as JSON')
    .action((folder: string, options: PublishOptions) => choose(() => run(folder, options, terminal)))
}

// --- internal ---

async function run(folder: string, options: PublishOptions, terminal: Terminal): Promise<number> {
  const live = liveLineOf(terminal)
  try {
    return await untilInterrupted((signal) => bring(resolvePath(folder), options, { terminal, live, signal }))
  } finally {
    live.close()
  }
}

interface Surroundings {
  readonly terminal: Terminal
  readonly live: LiveLine
  readonly signal: AbortSignal
}

async function bring(
  folder: string,
  options: PublishOptions,
  { terminal, live, signal }: Surroundings,
): Promise<number> {
  requireElsewhere(folder, options.to)
  const reading = 'reading the release'
  live.start(reading, undefined)
  const release = await readReleaseFiles(folder, (name) => live.describe(reading, name), signal)
  live.end(reading)
  for (const { kind, text } of release.record.exceptions) warn(terminal, `${kind}: ${text}`)
  if (!release.hasAddress)
    warn(
      terminal,
      'metadata.ini names no address to download from: build with downloadUrl, see docs/publish.md',
    )
  const destination = await openDestination(release, options)
  const comparing = 'comparing'
  live.start(comparing, undefined)
  live.describe(comparing, destination.label)
  const plan = await planPublishing(release.files, destination, options.replace ?? false, signal)
  live.end(comparing)
  if (!options.dryRun) {
    const view = createTransferView(live, terminal.colors, plan.sentBytes, () => performance.now())
    await publish(plan, release.files, destination, view, signal)
  } else if (!options.json) {
    for (const line of describePlan(plan)) terminal.out(`${line}\n`)
  }
  report(plan, destination, options, terminal)
  return exitCodes.ok
}

async function openDestination(
  { series }: ReleaseToPublish,
  { to, endpoint, region }: PublishOptions,
): Promise<Destination> {
  if (!/^s3:/i.test(to)) return folderDestination(join(resolvePath(to), series))
  // Signing loads modules that no other verb needs.
  const { readBucketSettings } = await import('../publish/s3/settings.ts')
  const { bucketDestination } = await import('../publish/s3/destination.ts')
  const settings = await readBucketSettings({ url: to, endpoint, region, environment: process.env })
  return bucketDestination(settings, series)
}

/** A release that contains its own copy would no longer be a release. */
function requireElsewhere(folder: string, to: string): void {
  if (/^s3:/i.test(to)) return
  const within = relative(folder, resolvePath(to))
  if (within.startsWith('..')) return
  throw new PipelineError({
    code: 'usage',
    message: `--to is inside the release itself: ${to}`,
    hint: 'name the folder that a web server serves.',
    exitCode: exitCodes.badInput,
  })
}

function describePlan({ files, withdrawn }: PublishPlan): readonly string[] {
  const lines = files.map(({ name, sizeBytes, fate }) =>
    `${fate.padEnd(7)}  ${formatBytes(sizeBytes).padStart(9)}  ${name}`.trimEnd(),
  )
  return withdrawn.length === 0
    ? lines
    : [...lines, 'the checksums and signatures of the release there are removed first']
}

function report(
  plan: PublishPlan,
  { label }: Destination,
  options: PublishOptions,
  terminal: Terminal,
): void {
  const { files, sentBytes } = plan
  const { json, dryRun = false } = options
  if (json) terminal.out(`${JSON.stringify({ to: label, dryRun, files, sentBytes }, null, 2)}\n`)
  const count = (fate: string) => files.filter((file) => file.fate === fate).length
  const sent = count('send') + count('replace')
  const kept = count('keep') === 0 ? '' : `, ${count('keep')} already there`
  const would = dryRun ? 'to send' : 'sent'
  const summary = `${plural(sent, 'file')}, ${formatBytes(sentBytes)}, ${would}${kept}: ${label}`
  terminal.error(`${dryRun ? '' : `${terminal.colors.green('✔')} `}${summary}\n`)
}
