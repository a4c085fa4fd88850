/** How long the main jobs take on this host, part by part: `npm run bench`, or `npm run bench -- cold` for one of them. */

import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Argument, Command, InvalidArgumentError } from 'commander'
import { $ as shell } from 'zx'
import { chooseImages, defaultPipeline, loadPipeline } from '../src/config/load.ts'
import { formatSeconds, formatTable } from '../src/report/format.ts'
import type { Report } from '../src/report/report.ts'
import { changes, withoutLayers } from './changes.ts'
import { measureExports } from './exports.ts'
import { median } from './median.ts'
import { timePage } from './page.ts'
import { measurePeers } from './peers.ts'
import { measureRefusals } from './refusals.ts'
import { measureRelease } from './release.ts'
import { measureSharing } from './share.ts'
import { readHolds, timeLargeStore, timePlanning } from './store-jobs.ts'

interface Options {
  readonly disk?: string
  readonly incumbent: boolean
  readonly layers?: string
  readonly before?: string
  readonly contentMib: number
  readonly rounds: number
}

const project = fileURLToPath(new URL('..', import.meta.url))
const program = join(project, 'bin', 'systemvm-image.js')
/** Packages that earlier builds have downloaded. */
const packageCache = join(project, 'out', 'cache', 'packages')

// Progress goes to the terminal, results nowhere.
const $ = shell({ quiet: true, cwd: project, stdio: ['ignore', 'ignore', 'inherit'] })

interface Measurement {
  readonly job: string
  readonly seconds: number
  /** Where the time went, if a report says. */
  readonly parts: readonly (readonly [string, number])[]
}

const jobs = [
  ...['start', 'plan', 'no-op', 'cold', 'changes', 'planning', 'verify'],
  ...['exports', 'share', 'store', 'page', 'refusals', 'release', 'peers'],
]
const command = new Command('npm run bench --')
  .description(
    'Time the main jobs on this host, part by part. Jobs that need a build make one first, in a folder of their own, with ' +
      'the packages that earlier builds downloaded.',
  )
  .addArgument(
    new Argument('[jobs...]', 'the jobs to time; all but `peers` and `release` if none is named').choices(
      jobs,
    ),
  )
  .option('--disk <file>', 'exports: export this disk, without a build')
  .option('--incumbent', "exports: also run CloudStack's own sequence", false)
  .option('--layers <out>', 'share: share the layers of this output folder, without a build')
  .option('--before <commit>', 'release: the commit to compare `release verify` with')
  .option('--content-mib <MiB>', 'release: size of what is released', wholeNumber, 256)
  .option('--rounds <count>', 'how often a job is repeated where it is compared', wholeNumber, 3)
  .parse()
const wanted = command.args
const given = command.opts<Options>()
if (wanted.includes('release') && given.before === undefined)
  command.error('release: needs --before <commit>, which it is compared with')
const out = await mkdtemp(join(process.env.TMPDIR ?? tmpdir(), 'systemvm-bench-'))
const has = (job: string) => wanted.length === 0 || wanted.includes(job)

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('expected a whole number from 1 on.')
  return Number(text)
}

async function run(...words: string[]): Promise<number> {
  const started = performance.now()
  await $`${process.execPath} ${program} ${words} --out ${out}`
  return (performance.now() - started) / 1000
}

async function build(job: string, ...words: string[]): Promise<Measurement> {
  const seconds = await run('build', ...words)
  const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8')) as Report
  const stages = report.stages.filter(({ status }) => status === 'ran')
  const parts = [
    ...report.timings.map(({ name, seconds: spent }) => [name, spent] as const),
    ...stages.map(({ name, build_time }) => [name, build_time] as const),
  ]
  return { job, seconds, parts }
}

function formatShort(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : formatSeconds(seconds)
}

async function repeat(job: string, count: number, once: () => Promise<number>): Promise<Measurement> {
  const all: number[] = []
  for (let index = 0; index < count; index += 1) all.push(await once())
  return { job, seconds: median(all), parts: [] }
}

/** The disk that was given, or that of the build. */
async function findDisk(): Promise<string> {
  if (given.disk !== undefined) return given.disk
  const names = await readdir(join(out, 'images'))
  return join(out, 'images', names.find((name) => name.endsWith('.raw')) ?? '')
}

const measurements: Measurement[] = []
let exports: string | undefined
let sharing: string | undefined
let release: string | undefined
let peers: string | undefined
try {
  if (has('start')) await measureStart()
  if (has('refusals'))
    for (const refusal of await measureRefusals(program, out, 5)) measurements.push({ ...refusal, parts: [] })
  if (has('page')) await measurePage()
  const alone = new Set(['start', 'store', 'refusals', 'page', 'release', 'peers'])
  const needsBuilds = wanted.length === 0 || wanted.some((job) => !alone.has(job))
  if (needsBuilds && given.disk === undefined && given.layers === undefined) await measureBuilds()
  if (has('store')) await measureStore()
  // Of everything else there is nothing to be compared with.
  if (given.before !== undefined)
    release = await measureRelease(join(out, 'release'), {
      ...{ project, before: given.before, rounds: given.rounds },
      contentMiB: given.contentMib,
    })
  if (wanted.includes('peers')) peers = await comparePeers()
  const how = { rounds: given.rounds, hasIncumbent: given.incumbent }
  if (has('share')) sharing = await measureSharing(program, given.layers ?? out, given.rounds)
  if (has('exports') && given.layers === undefined)
    exports = await measureExports(program, await findDisk(), out, how)
} finally {
  await rm(out, { recursive: true, force: true })
}

async function measureStore(): Promise<void> {
  const { sweep, prune } = await timeLargeStore(join(out, 'large-store'), 1500)
  measurements.push({ job: 'sweep of 1,500 layers', seconds: sweep, parts: [] })
  measurements.push({ job: 'pruning of 1,490 of them', seconds: prune, parts: [] })
}

async function comparePeers(): Promise<string> {
  const [image] = chooseImages(await loadPipeline(defaultPipeline, []), [], false)
  if (image === undefined) throw new Error('peers: the pipeline has no variant')
  const folder = join(out, 'peers')
  await mkdir(folder)
  return measurePeers({ ...{ project, program, folder, image, packageCache }, rounds: given.rounds })
}

/** What every verb costs before it does anything, and the shortest one that reads the pipeline. */
async function measurePage(): Promise<void> {
  const times = await timePage(out, given.rounds)
  if (times === undefined) return console.error('there is no Chromium on this host: no page is measured')
  const { render, paint } = times
  measurements.push({ job: 'page of a report with 400 packages', seconds: render, parts: [] })
  measurements.push({ job: 'its first paint in Chromium', seconds: paint, parts: [] })
}

async function measureStart(): Promise<void> {
  const help = async () => {
    const started = performance.now()
    await $`${process.execPath} ${program} --help`
    return (performance.now() - started) / 1000
  }
  measurements.push(await repeat('--help (median of 5)', 5, help))
  measurements.push(await repeat('plan, without a layer (median of 5)', 5, () => run('plan')))
}

async function measureBuilds(): Promise<void> {
  await mkdir(join(out, 'cache'), { recursive: true })
  await cp(packageCache, join(out, 'cache', 'packages'), { recursive: true }).catch(() => {
    console.error('no packages are downloaded yet: the cold build below downloads them')
  })
  // Verification is a job of its own.
  const cold = await build('cold build, packages downloaded', '--no-verify')
  if (has('cold')) measurements.push(cold)
  if (has('no-op'))
    measurements.push(
      await repeat('build, nothing changed (median of 5)', 5, () => run('build', '--no-verify')),
    )
  if (has('plan')) measurements.push(await repeat('plan (median of 5)', 5, () => run('plan')))
  if (has('changes')) {
    for (const { job, words } of [...changes, withoutLayers]) measurements.push(await build(job, ...words))
    const holds = await readHolds(out)
    measurements.push({ job: 'guest held to seal a layer (median)', seconds: holds.median, parts: [] })
    measurements.push({ job: 'guest held to seal a layer (most)', seconds: holds.most, parts: [] })
  }
  if (has('planning')) {
    const seconds = await timePlanning(out)
    measurements.push({ job: 'planning alone, with every layer verified', seconds, parts: [] })
  }
  if (has('verify')) {
    const started = performance.now()
    await $`${process.execPath} ${program} verify --again --out ${out}`
    const seconds = (performance.now() - started) / 1000
    measurements.push({ job: 'verification of all files, every scene', seconds, parts: [] })
  }
}

for (const text of [exports, sharing, release, peers]) if (text !== undefined) console.log(text)
if (measurements.length > 0) console.log()
console.log(
  formatTable(
    measurements.map(({ job, seconds }) => [job, formatShort(seconds)]),
    [false, true],
  ),
)
for (const { job, seconds, parts } of measurements.filter(({ parts }) => parts.length > 0)) {
  const known = parts.reduce((sum, [, spent]) => sum + spent, 0)
  const rows = [...parts, ['everything else', seconds - known] as const]
  console.log(`\n${job}:`)
  console.log(
    formatTable(
      rows.map(([name, spent]) => [`  ${name}`, formatSeconds(spent)]),
      [false, true],
    ),
  )
}
