/** `store push` and `store pull`: share layers through a registry, so that machines need not make the same ones. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { requireReadable } from '../host/signature.ts'
import type { SshTrust } from '../host/ssh-signature.ts'
import { planImage } from '../plan/plan.ts'
import { formatBytes, plural } from '../report/format.ts'
import type { Layer } from '../store/layer-record.ts'
import { sizeOf } from '../store/prune.ts'
import { openRegistry } from '../store/registry.ts'
import { pullLayers, pushLayers } from '../store/share.ts'
import { listedOnce, openStore } from '../store/store.ts'
import { untilInterrupted } from './interrupt.ts'
import { addPipelineOptions, choosePipeline, type PipelineOptions, pathOf } from './options.ts'
import { reportTo, type Terminal, warn } from './terminal.ts'
import type { Choose } from './verb.ts'
import { showTransfer } from './views/layer-transfer.ts'
import { addWaitOption, takeFolder, type WaitOptions } from './wait.ts'

interface ShareOptions extends PipelineOptions, WaitOptions {
  readonly sign?: string
  readonly signers?: string
  readonly revoked?: string
  readonly unsigned?: boolean
  readonly timeout: number
  readonly json?: boolean
}

const verbs = {
  push: { done: 'pushed', summary: 'sign layers and upload those that a registry lacks' },
  pull: {
    done: 'pulled',
    summary:
      'download layers that a build would otherwise make; a failing registry is reported, but is not an error',
  },
} as const

export function addShareVerbs(store: Command, terminal: Terminal, choose: Choose): void {
  for (const verb of ['push', 'pull'] as const) {
    addTrustOptions(
      verb,
      addWaitOption(addPipelineOptions(store.command(verb).description(verbs[verb].summary))),
    )
      .argument(
        '<reference>',
        'repository of an OCI registry, e.g. ghcr.io/owner/layers; log in with skopeo login',
      )
      .option('--timeout <seconds>', 'time limit for the whole transfer', parseSeconds, 300)
      .option('--json', 'print the layers as JSON')
      .action((reference: string, options: ShareOptions) =>
        choose(() => share(verb, reference, options, terminal)),
      )
  }
}

async function share(
  verb: keyof typeof verbs,
  reference: string,
  options: ShareOptions,
  terminal: Terminal,
): Promise<number> {
  const registry = openRegistry(reference)
  const signing = await chooseSigning(verb, options)
  const { done } = verbs[verb]
  const { images, outFolder } = await choosePipeline(
    { ...options, all: options.variant.length === 0 },
    'download',
  )
  const workFolder = outFolderAt(outFolder).cache.path
  await makeFolder(workFolder)
  const lock = await takeFolder(outFolder, verb, options, terminal)
  try {
    const store = openStore(outFolderAt(outFolder).store, lock.confirm)
    const listed = await listedOnce(store)
    const plans = await Promise.all(images.map((image) => planImage(image, listed)))
    // Where nothing can be redrawn, the lines for the layers are enough.
    const reporter = terminal.isLive ? reportTo(terminal, outFolder) : undefined
    const view = reporter && showTransfer(verb, reporter)
    const { layers, fault } = await untilInterrupted((signal) => {
      const request = {
        plans,
        store,
        registry,
        workFolder,
        timeoutSeconds: options.timeout,
        onBegin: view?.begin,
        onLayer: ({ name, key, sizeBytes }: Layer) => {
          const show = () => terminal.out(`${name} ${key} ${formatBytes(sizeBytes)}\n`)
          if (!options.json) reporter === undefined ? show() : reporter.aside(show)
          view?.arrived(sizeBytes)
        },
        signal,
      }
      return verb === 'push' ? pushLayers({ ...request, ...signing }) : pullLayers({ ...request, ...signing })
    }).finally(reporter?.close)
    if (options.json) {
      const rows = layers.map(({ name, key, sizeBytes, origin }) => ({
        name,
        key,
        sizeBytes,
        signedBy: origin?.signedBy ?? null,
      }))
      terminal.out(`${JSON.stringify({ layers: rows, fault: fault ?? null }, null, 2)}\n`)
    }
    if (options.unsigned === true)
      warn(terminal, `without signatures: anyone who can write to ${reference} decides what is in an image`)
    if (fault !== undefined) warn(terminal, fault)
    terminal.error(`${plural(layers.length, 'layer')}, ${formatBytes(sizeOf(layers))}, ${done}\n`)
    // A layer that was not fetched is made here, but one that was not uploaded is missing elsewhere.
    return fault !== undefined && verb === 'push' ? exitCodes.hostNotFit : exitCodes.ok
  } finally {
    await lock.release()
  }
}

function addTrustOptions(verb: keyof typeof verbs, command: Command): Command {
  if (verb === 'push')
    return command
      .option(
        '--sign <file>',
        'SSH key to sign the layers with: a private key, or the public key of one in ssh-agent',
      )
      .option('--unsigned', 'leave the layers unsigned, which only a pull with --unsigned accepts')
  return command
    .option('--signers <file>', 'SSH keys, one of which must have signed each layer: see ssh-keygen(1)')
    .option('--revoked <file>', 'SSH keys that are no longer trusted: public keys or a revocation list')
    .option('--unsigned', 'accept layers from anyone who can write to the registry')
}

/** @throws PipelineError `usage`, `trust-unreadable` */
async function chooseSigning(
  verb: keyof typeof verbs,
  { sign, signers, revoked, unsigned = false }: ShareOptions,
): Promise<{ readonly signingKey: string | undefined; readonly trust: SshTrust | undefined }> {
  const given = verb === 'push' ? sign : signers
  const option = verb === 'push' ? '--sign KEY' : '--signers FILE'
  if ((given === undefined) !== unsigned)
    throw new PipelineError({
      code: 'usage',
      message: `store ${verb} takes either ${option} or --unsigned`,
      hint: 'layers are signed by an SSH key: docs/sharing-layers.md shows how.',
      exitCode: exitCodes.badInput,
    })
  const trust =
    signers === undefined ? undefined : { signers: resolvePath(signers), revoked: pathOf(revoked) }
  await requireReadable([pathOf(sign), trust?.signers, trust?.revoked])
  return { signingKey: pathOf(sign), trust }
}

function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of seconds, e.g. 300.')
}
