/** `reproduce`: rebuilds a release and compares every file. */

import { rm, stat } from 'node:fs/promises'
import { dirname, join, resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { openPackageSet, type PackageSet, unfitSet } from '../debian/package-set.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { writeDurably } from '../host/files.ts'
import { describeSource, type Source } from '../host/git.ts'
import { quote } from '../host/shell-words.ts'
import { requireReadable } from '../host/signature.ts'
import { signWithSsh } from '../host/ssh-signature.ts'
import { buildImage } from '../make/make-image.ts'
import { planImage } from '../plan/plan.ts'
import { type Locked, lockPath, readLock } from '../provenance/lock.ts'
import type { Accelerator } from '../qemu/machine.ts'
import { redactCommand } from '../redact.ts'
import { readImagePackages } from '../release/read-image.ts'
import {
  compareRebuild,
  isIdentical,
  type RebuiltVariant,
  rebuildEnding,
  rebuildNamespace,
  renderRebuild,
} from '../release/rebuild.ts'
import {
  packagesFolder,
  type ReleaseRecord,
  type ReleaseVariant,
  readReleaseRecord,
} from '../release/record.ts'
import type { Report } from '../report/report.ts'
import { layersOf } from '../store/chain.ts'
import { openStore } from '../store/store.ts'
import { type TargetName, targetNames } from '../targets/registry.ts'
import { inOneLine } from '../text.ts'
import { programVersion } from '../version.ts'
import { untilInterrupted } from './interrupt.ts'
import {
  acceleratorOption,
  addPipelineOptions,
  choosePipeline,
  type PipelineOptions,
  pathOf,
} from './options.ts'
import { findRebuiltDifference } from './rebuilt-difference.ts'
import { addUiOption, reportTo, type Terminal, type UiOptions } from './terminal.ts'
import type { Choose } from './verb.ts'
import { renderRebuilt, renderRebuiltDifference } from './views/rebuilt.ts'

interface ReproduceOptions extends PipelineOptions, UiOptions {
  readonly accelerator?: Accelerator
  readonly sign?: string
  readonly json?: boolean
}

/** Separate, because no earlier build may be used. */
const defaultOutFolder = 'out/reproduced'

/** The statement about a rebuild, in the output folder. */
const statementFile = `rebuild${rebuildEnding}`

export function reproduceCommand(command: Command, terminal: Terminal, choose: Choose): void {
  addPipelineOptions(
    addUiOption(command).argument(
      '<release>',
      'folder of a release, or its release.json, with which no differences are shown',
    ),
    defaultOutFolder,
  )
    .addOption(acceleratorOption())
    .option(
      '--sign <file>',
      'SSH key to sign the statement with: a private key, or the public key of one in ssh-agent',
    )
    .option('--json', 'print the comparison as JSON')
    .action((release: string, options: ReproduceOptions) =>
      choose(() => reproduce(release, options, terminal)),
    )
}

// --- internal ---

interface Variant {
  readonly released: ReleaseVariant
  readonly image: ResolvedImage
  readonly locked: Locked | undefined
}

async function reproduce(path: string, options: ReproduceOptions, terminal: Terminal): Promise<number> {
  // Faults in the options are reported first.
  await choosePipeline(options)
  const record = await readReleaseRecord(path)
  const key = pathOf(options.sign)
  await requireReadable([key])
  const outFolder = resolvePath(options.out)
  const source = await requireSource(record, options, outFolder)
  const variants = await chooseVariants(record, options)
  return untilInterrupted(async (signal) => {
    const reporter = reportTo(terminal, outFolder, options)
    const set = await setOf(record, path, signal)
    if (set !== undefined) terminal.error(`packages from ${set.folder}; no mirror is contacted\n`)
    const rebuilt: { readonly variant: RebuiltVariant; readonly report: Report }[] = []
    try {
      for (const { released, image, locked } of variants) {
        const report = await buildImage({
          image,
          outFolder,
          planning: { ignoreStore: true },
          forceAccelerator: options.accelerator,
          command: ['systemvm-image', ...redactCommand(process.argv.slice(2))],
          source,
          locked,
          packages: set,
          emit: reporter.emit,
          signal,
        })
        if (report.run.status !== 'succeeded')
          return report.run.status === 'interrupted' ? exitCodes.interrupted : exitCodes.buildFailed
        const packages = await packagesOf(report, outFolder, signal)
        rebuilt.push({ variant: compareRebuild(released, { ...report, packages }), report })
      }
    } finally {
      reporter.close()
    }
    const results = rebuilt.map(({ variant }) => variant)
    const statement = join(outFolder, statementFile)
    const text = renderRebuild(record, results, programVersion())
    await writeDurably(statement, text)
    if (key === undefined) await rm(`${statement}.sig`, { force: true })
    else await writeDurably(`${statement}.sig`, await signWithSsh(text, rebuildNamespace, key))
    if (options.json) terminal.out(`${JSON.stringify({ variants: results, statement }, null, 2)}\n`)
    else {
      terminal.out(renderRebuilt(results))
      for (const one of rebuilt) {
        const found = await findRebuiltDifference(path, one, outFolder, signal)
        if (found !== undefined) terminal.out(`\n${renderRebuiltDifference(found, terminal.colors)}`)
      }
    }
    terminal.error(`statement: ${statement}\n`)
    return results.every(({ files }) => files.every(isIdentical))
      ? exitCodes.ok
      : exitCodes.verificationFailed
  })
}

/** @throws PipelineError `reproduce-source` unless the release was built from this checkout */
async function requireSource(
  { source: released }: ReleaseRecord,
  { pipeline }: ReproduceOptions,
  outFolder: string,
): Promise<Source> {
  const isKnown = released !== null && /^[0-9a-f]{40,64}$/.test(released.commit)
  if (!isKnown || released.changed.length > 0) {
    const what = !isKnown
      ? 'no known commit'
      : `a checkout with changes: ${inOneLine(released.changed.slice(0, 5).join(', '))}`
    throw otherSource(
      `the release was built from ${what}`,
      'only a release made from a clean checkout can be rebuilt.',
    )
  }
  const { commit, repository } = released
  // Somebody will paste this command, and anyone could have written the record.
  const from = repository === undefined ? 'REPOSITORY' : quote(repository)
  const hint = `use a clean checkout of it: git clone -- ${from} checkout && git -C checkout checkout ${commit}`
  const here = await describeSource(dirname(resolvePath(pipeline)), outFolder)
  if (here?.commit !== commit)
    throw otherSource(
      `the release was built from commit ${commit}, but this is ${here?.commit ?? 'no checkout'}`,
      hint,
    )
  if (here.changed.length > 0)
    throw otherSource(`this checkout has changes: ${inOneLine(here.changed.slice(0, 5).join(', '))}`, hint)
  return here
}

function otherSource(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'reproduce-source', message, hint, exitCode: exitCodes.badInput })
}

/**
 * The variants of a release, each with the image here that has the same layer keys.
 * @throws PipelineError `reproduce-settings`
 */
async function chooseVariants(record: ReleaseRecord, options: ReproduceOptions): Promise<readonly Variant[]> {
  const { variant: names } = options
  const wanted = record.variants.filter(({ variant }) => names.length === 0 || names.includes(variant))
  if (wanted.length === 0) throw otherSettings(`the release has no variant ${names.join(', ')}`, record)
  const { images } = await choosePipeline({ ...options, variant: [], all: true }, 'download')
  return Promise.all(
    wanted.map(async (released) => {
      const image = images.find(({ variant }) => variant === released.variant)
      if (image === undefined) throw otherSettings(`the pipeline has no variant ${released.variant}`, record)
      const chosen = { ...image, targets: released.files.map(({ target }) => knownTarget(target, record)) }
      await requireSameKey(released, chosen, record)
      return { released, image: chosen, locked: await lockOf(released, options, record) }
    }),
  )
}

function knownTarget(name: string, record: ReleaseRecord): TargetName {
  const target = targetNames.find((known) => known === name)
  if (target === undefined)
    throw otherSettings(`this program makes no file for the target ${JSON.stringify(name)}`, record)
  return target
}

/** A release does not record its settings, but the keys of its layers depend on them. */
async function requireSameKey(
  { variant, files }: ReleaseVariant,
  image: ResolvedImage,
  record: ReleaseRecord,
): Promise<void> {
  const key = layersOf(await planImage(image, openStore('/nonexistent'))).at(-1)?.key
  const other = files.find(({ madeFrom }) => madeFrom !== key)
  if (other === undefined) return
  const keys = `layer ${other.madeFrom.slice(0, 12)}, which would be ${key?.slice(0, 12)} here`
  throw otherSettings(`${variant} was built with other settings: ${other.file} is made from ${keys}`, record)
}

/** A build that was locked must be rebuilt with the same lock. */
async function lockOf(
  { variant, lock }: ReleaseVariant,
  options: ReproduceOptions,
  record: ReleaseRecord,
): Promise<Locked | undefined> {
  if (lock === null) return undefined
  const locked = await readLock(lockPath(options))
  if (locked.sha256 === lock) return locked
  throw otherSettings(
    `${variant} was built with another ${locked.path}: sha256 ${lock}, here ${locked.sha256}`,
    record,
  )
}

/** The package set in the folder of a release. @throws PipelineError with a code that begins with `packages-` */
async function setOf(
  { packageSet }: ReleaseRecord,
  path: string,
  signal: AbortSignal,
): Promise<PackageSet | undefined> {
  if (packageSet === undefined || !(await stat(path)).isDirectory()) return undefined
  const set = await openPackageSet(join(resolvePath(path), packagesFolder), signal)
  if (set.sha256 === packageSet) return set
  throw unfitSet(set.folder, `its list has sha256 ${set.sha256}, but the release's has ${packageSet}`)
}

function otherSettings(message: string, { name, release }: ReleaseRecord): PipelineError {
  return new PipelineError({
    code: 'reproduce-settings',
    message,
    hint: `give the options that ${name} ${release} was built with: --set, --config, --payload, --installer, SOURCE_DATE_EPOCH.`,
    exitCode: exitCodes.badInput,
  })
}

async function packagesOf(report: Report, outFolder: string, signal: AbortSignal) {
  const [image] = report.images
  return (
    report.packages ?? (image === undefined ? [] : readImagePackages(join(outFolder, image.path), signal))
  )
}
