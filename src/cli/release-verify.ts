/** `release verify`: whether a release is as it was made, and by whom. */

import { readdir } from 'node:fs/promises'
import { resolve as resolvePath } from 'node:path'
import type { Command } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import type { AttestationTrust } from '../release/attestation.ts'
import { readReleaseRecord, releaseFiles } from '../release/record.ts'
import type { ReleaseVerification } from '../release/verify-release.ts'
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
      'SSH keys that are believed no more: keys or a revocation list, see ssh-keygen(1)',
    )
    .option(
      '--keyring <file>',
      'OpenPGP keys, one of which must have signed it, e.g. KEYS of an Apache project',
    )
    .option(
      '--attested-by <workflow>',
      'URL of the workflow that must have made it, as GitHub attests; needs --trusted-root',
    )
    .option('--trusted-root <file>', 'what gh attestation trusted-root prints')
    .option('--require-signature', 'end with 4 unless it is known who signed it')
    .option('--json', 'print what is wrong as JSON')
    .action((folder: string, _options: VerifyOptions, command: Command) =>
      choose(() => verify(folder, command.optsWithGlobals(), terminal)),
    )
}

// --- internal ---

async function verify(folder: string, options: VerifyOptions, terminal: Terminal): Promise<number> {
  await requireRelease(folder)
  const { verifyRelease } = await import('../release/verify-release.ts')
  const verification = await untilInterrupted((signal) =>
    verifyRelease({
      folder: resolvePath(folder),
      trust: {
        signers: pathOf(options.signers),
        revoked: pathOf(options.revoked),
        keyring: pathOf(options.keyring),
        attestation: attestationTrust(options),
      },
      onStep: (text) => terminal.error(`${text}\n`),
      signal,
    }),
  )
  const { files, record, signedBy, faults } = verification
  const exceptions = record?.exceptions ?? []
  if (options.json) terminal.out(`${JSON.stringify({ files, exceptions, signedBy, faults }, null, 2)}\n`)
  else for (const { file, fault } of faults) terminal.out(`${file}: ${fault}\n`)
  for (const { kind, text } of exceptions) warn(terminal, `${kind}: ${text}`)
  const isRefused = options.requireSignature === true && signedBy.length === 0
  terminal.error(renderVerdict(verification, isRefused, terminal.colors))
  return faults.length === 0 && !isRefused ? exitCodes.ok : exitCodes.verificationFailed
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
  return `${mark} ${subject}: consistent with itself, not authenticated (${hint})\n`
}

/** @throws PipelineError `usage` */
function attestationTrust({ attestedBy, trustedRoot }: VerifyOptions): AttestationTrust | undefined {
  if (attestedBy === undefined && trustedRoot === undefined) return undefined
  if (attestedBy !== undefined && trustedRoot !== undefined)
    return { workflow: attestedBy, trustedRoot: resolvePath(trustedRoot) }
  throw new PipelineError({
    code: 'usage',
    message: '--attested-by and --trusted-root need each other',
    hint: 'an attestation is checked for one workflow, with the certificates of one root: docs/release.md shows both.',
    exitCode: exitCodes.badInput,
  })
}

/** A folder with nothing of a release in it is a usage error, not a broken release. */
async function requireRelease(folder: string): Promise<void> {
  const names: readonly string[] = await readdir(folder).catch(() => [])
  if (!names.some((name) => name === releaseFiles.record || name === releaseFiles.statement))
    await readReleaseRecord(folder)
}
