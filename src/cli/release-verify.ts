/** `release verify`: whether a release is unchanged, and who made it. */

import { readdir } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import type { AttestationTrust } from '../release/attestation.ts'
import type { CountedRebuilds, RebuildTrust } from '../release/count-rebuilds.ts'
import { readReleaseRecord, releaseFiles } from '../release/record.ts'
import type { ReleaseVerification } from '../release/verify-release.ts'
import { inOneLine } from '../text.ts'
import { untilInterrupted } from './interrupt.ts'
import { pathOf } from './options.ts'
import { type Terminal, warn } from './terminal.ts'
import type { Choose } from './verb.ts'

interface VerifyOptions {
  readonly signers?: string
  readonly revoked?: string
  readonly keyring?: string
  readonly attestedBy?: string
  readonly trustedRoot?: string
  readonly requireSignature?: boolean
  readonly rebuilds?: string
  readonly rebuilders?: string
  readonly requireRebuilds?: number
  readonly json?: boolean
}

export function addReleaseVerify(release: Command, terminal: Terminal, choose: Choose): void {
  release
    .command('verify')
    .description('check a release against its checksums, statement, images and signatures; needs no network')
    .argument('<folder>', 'folder of the release')
    .option(
      '--signers <file>',
      'SSH keys, one of which must have signed it: allowed signers, see ssh-keygen(1)',
    )
    .option(
      '--revoked <file>',
      'SSH keys that are no longer trusted: public keys or a revocation list, see ssh-keygen(1)',
    )
    .option(
      '--keyring <file>',
      'OpenPGP keys, one of which must have signed it, e.g. KEYS of an Apache project',
    )
    .option(
      '--attested-by <workflow>',
      'URL of the workflow that must have made it, as attested by GitHub; needs --trusted-root',
    )
    .option('--trusted-root <file>', 'output of gh attestation trusted-root')
    .option('--require-signature', 'exit with 4 unless it is known who signed it')
    .option('--rebuilds <folder>', 'statements of reproduce, with their signatures; needs --rebuilders')
    .option('--rebuilders <file>', 'SSH keys of people who rebuild releases: allowed signers')
    .option(
      '--require-rebuilds <count>',
      'exit with 4 unless this many of them built the same files',
      parseCount,
    )
    .option('--json', 'print what is wrong as JSON')
    .action((folder: string, _options: VerifyOptions, command: Command) =>
      choose(() => verify(folder, command.optsWithGlobals(), terminal)),
    )
}

// --- internal ---

async function verify(folder: string, options: VerifyOptions, terminal: Terminal): Promise<number> {
  await requireRelease(folder)
  const rebuilding = rebuildTrust(options)
  const { verifyRelease } = await import('../release/verify-release.ts')
  const trust = {
    signers: pathOf(options.signers),
    revoked: pathOf(options.revoked),
    keyring: pathOf(options.keyring),
    attestation: attestationTrust(options),
  }
  const onStep = (text: string) => terminal.error(`${text}\n`)
  const { verification, rebuilds } = await untilInterrupted(async (signal) => {
    const verification = await verifyRelease({ folder: resolvePath(folder), trust, onStep, signal })
    return { verification, rebuilds: await findRebuilds(verification, rebuilding, onStep, signal) }
  })
  const { files, record, signedBy, faults } = verification
  const exceptions = record?.exceptions ?? []
  const { rebuiltBy, faults: doubts } = rebuilds
  const result = { files, exceptions, signedBy, rebuiltBy, faults }
  if (options.json) terminal.out(`${JSON.stringify(result, null, 2)}\n`)
  else for (const { file, fault } of faults) terminal.out(`${inOneLine(`${file}: ${fault}`)}\n`)
  for (const { file, fault } of doubts) warn(terminal, inOneLine(`${file} does not count: ${fault}`))
  for (const { kind, text } of exceptions) warn(terminal, inOneLine(`${kind}: ${text}`))
  const { requireSignature = false, requireRebuilds = 0 } = options
  const isRefused = (requireSignature && signedBy.length === 0) || rebuiltBy.length < requireRebuilds
  terminal.error(renderVerdict(verification, isRefused, terminal.colors))
  if (rebuilding !== undefined) terminal.error(`${renderRebuilders(rebuiltBy, record)}\n`)
  return faults.length === 0 && !isRefused ? exitCodes.ok : exitCodes.verificationFailed
}

/** @throws PipelineError `usage` */
function rebuildTrust(options: VerifyOptions): RebuildTrust | undefined {
  const { rebuilds, rebuilders, requireRebuilds, revoked } = options
  if (rebuilds !== undefined && rebuilders !== undefined)
    return { folder: resolvePath(rebuilds), rebuilders: resolvePath(rebuilders), revoked: pathOf(revoked) }
  if (rebuilds === undefined && rebuilders === undefined && requireRebuilds === undefined) return undefined
  throw new PipelineError({
    code: 'usage',
    message: '--rebuilds and --rebuilders must be given together',
    hint: 'anyone can write a statement: give the keys of the people you trust; docs/reproducible.md shows how.',
    exitCode: exitCodes.badInput,
  })
}

/** Rebuilds say nothing about files that have changed since the release. */
async function findRebuilds(
  { record, faults }: ReleaseVerification,
  trust: RebuildTrust | undefined,
  onStep: (text: string) => void,
  signal: AbortSignal,
): Promise<CountedRebuilds> {
  if (trust === undefined || record === undefined || faults.length > 0) return { rebuiltBy: [], faults: [] }
  const { countRebuilds } = await import('../release/count-rebuilds.ts')
  return countRebuilds({ record, trust, onStep, signal })
}

function renderRebuilders(rebuiltBy: readonly string[], record: ReleaseVerification['record']): string {
  if (rebuiltBy.length === 0) return 'nobody whose key you gave has rebuilt the same images'
  const { length } = record?.variants.flatMap(({ files }) => files) ?? []
  return `${length === 1 ? '1 image' : `${length} images`} rebuilt identically by ${rebuiltBy.join(' and ')}`
}

function parseCount(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 to 999.')
  return Number(text)
}

function renderVerdict(
  { files, record, signedBy, faults }: ReleaseVerification,
  isRefused: boolean,
  colors: Terminal['colors'],
): string {
  const mark = faults.length === 0 && !isRefused ? colors.green('✔') : colors.red('✖')
  if (faults.length > 0) return `${mark} ${faults.length} of ${files} files are not what was released\n`
  const tag = record?.tag == null ? '' : `, tag ${record.tag}`
  const subject = `${files} files of ${record?.name} ${record?.release}${tag}`
  if (signedBy.length > 0) return `${mark} ${subject}: as signed by ${signedBy.join(' and ')}\n`
  const hint = 'name the keys you trust with --signers or --keyring'
  return `${mark} ${subject}: internally consistent, but not authenticated (${hint})\n`
}

/** @throws PipelineError `usage` */
function attestationTrust({ attestedBy, trustedRoot }: VerifyOptions): AttestationTrust | undefined {
  if (attestedBy === undefined && trustedRoot === undefined) return undefined
  if (attestedBy !== undefined && trustedRoot !== undefined)
    return { workflow: attestedBy, trustedRoot: resolvePath(trustedRoot) }
  throw new PipelineError({
    code: 'usage',
    message: '--attested-by and --trusted-root must be given together',
    hint: 'an attestation is checked for one workflow, with the certificates of one root: docs/release.md shows both.',
    exitCode: exitCodes.badInput,
  })
}

/** A folder without any release files is a usage error, not a broken release. */
async function requireRelease(folder: string): Promise<void> {
  const names: readonly string[] = await readdir(folder).catch(() => [])
  if (!names.some((name) => name === releaseFiles.record || name === releaseFiles.statement))
    await readReleaseRecord(folder)
}
