/** `release`: makes a release folder from the images that were built. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { ResolvedImage } from '../config/resolved.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { requireReadable } from '../host/signature.ts'
import { readAccepted } from '../release/accepted.ts'
import { type ExceptionKind, exceptionKinds, readReleaseRecord } from '../release/record.ts'
import { describeRun } from '../release/statement.ts'
import { requireTag } from '../release/tag.ts'
import { type TargetName, targetNames } from '../targets/registry.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, collect, type PipelineOptions, pathOf } from './options.ts'
import { addReleaseVerify } from './release-verify.ts'
import { type Terminal, warn } from './terminal.ts'
import type { Choose } from './verb.ts'

interface ReleaseOptions extends PipelineOptions {
  readonly from: readonly string[]
  readonly to?: string
  readonly tag?: string
  readonly since?: string
  readonly maxAge?: number
  readonly allow: readonly ExceptionKind[]
  readonly leaveOut: readonly TargetName[]
  readonly scan?: boolean
  readonly accepted?: string
  readonly sign?: string
  readonly signOpenpgp?: string
  readonly withPackages?: boolean
  readonly json?: boolean
}

export function releaseCommand(command: Command, terminal: Terminal, choose: Choose): void {
  const release = addPipelineOptions(command)
    .helpCommand(false)
    .option(
      '--from <folder>',
      'output folder of a build, with verdicts that you trust, instead of --out; may be repeated',
      collect,
      [],
    )
    .option('--to <folder>', 'folder to create; by default release in --out')
    .option('--tag <tag>', 'tag of the release; must match the pipeline’s release')
    .option('--since <release>', 'folder of an earlier release, or its release.json, to list changes since')
    .option('--max-age <days>', 'refuse images whose layer 0 is older than this', parseDays)
    .addOption(
      new Option(
        '--allow <what>',
        'release images despite this problem, and record it in the release; may be repeated',
      )
        .choices(exceptionKinds)
        .argParser(parseChoice(exceptionKinds))
        .default([]),
    )
    .addOption(
      new Option('--leave-out <target>', 'a target to leave out of the release; may be repeated')
        .choices(targetNames)
        .argParser(parseChoice(targetNames))
        .default([]),
    )
    .option('--scan', 'add known vulnerabilities of the packages, from grype or trivy if one is installed')
    .option('--accepted <file>', 'YAML file of vulnerabilities that the images may have; implies --scan')
    .option(
      '--sign <file>',
      'SSH key to sign the release with: a private key, or the public key of one in ssh-agent',
    )
    .option(
      '--sign-openpgp <key>',
      'OpenPGP key to sign the release with: a fingerprint or user ID that gpg has',
    )
    .option('--with-packages', 'add every .deb of all layers, for builds without a mirror')
    .option('--json', 'print the record of the release as JSON')
    .action((options: ReleaseOptions) => choose(() => make(options, terminal)))
  addReleaseVerify(release, terminal, choose)
}

function parseDays(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of days, e.g. 30.')
}

/** Collects values from a fixed set; commander drops its own check if an option has a parser. */
function parseChoice<Value extends string>(values: readonly Value[]) {
  return (text: string, before: readonly Value[] = []): readonly Value[] => {
    const value = values.find((candidate) => candidate === text)
    if (value !== undefined) return [...before, value]
    throw new PipelineError({
      code: 'usage',
      message: `${JSON.stringify(text)} is not one of ${values.join(', ')}`,
      exitCode: exitCodes.badInput,
    })
  }
}

async function make(options: ReleaseOptions, terminal: Terminal): Promise<number> {
  const isNamed = options.variant.length > 0
  const { pipeline, images, outFolder } = await choosePipeline({ ...options, all: !isNamed }, 'download')
  if (options.tag !== undefined) requireTag(options.tag, images[0] as ResolvedImage)
  const accepted = options.accepted === undefined ? [] : await readAccepted(options.accepted)
  const isScanned = options.scan === true || options.accepted !== undefined
  const before = options.since === undefined ? undefined : await readReleaseRecord(options.since)
  const folder = options.to === undefined ? outFolderAt(outFolder).release : resolvePath(options.to)
  const chosen = new Set(images.map(({ variant }) => variant))
  // The library for bills of materials takes a quarter of a second to load, so other verbs do not load it.
  const { findScanner } = await import('../release/scan.ts')
  const { makeRelease, tooLargeForGitHub } = await import('../release/make-release.ts')
  await requireReadable([options.sign])
  const record = await untilInterrupted(async (signal) =>
    makeRelease({
      images,
      otherVariants: pipeline.images.map(({ variant }) => variant).filter((name) => !chosen.has(name)),
      vouchedFor: options.from.map((from) => resolvePath(from)),
      folder,
      leftOut: options.leaveOut,
      outFolder,
      maximumAgeDays: options.maxAge,
      allowed: options.allow,
      tag: options.tag,
      before,
      claimed: describeRun(process.env),
      scan: isScanned ? { scanner: await findScanner(), accepted, now: new Date() } : undefined,
      withPackages: options.withPackages ?? false,
      keys: {
        ssh: pathOf(options.sign),
        openpgp: options.signOpenpgp,
      },
      onStep: (text) => terminal.error(`${text}\n`),
      signal,
    }),
  )
  for (const { kind, text } of record.exceptions) warn(terminal, `${kind}: ${text}`)
  for (const name of await tooLargeForGitHub(folder))
    warn(terminal, `${name} is too large for a GitHub release, whose files must be under 2 GiB`)
  terminal.out(options.json ? `${JSON.stringify(record, null, 2)}\n` : `${folder}\n`)
  return exitCodes.ok
}
