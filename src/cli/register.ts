/** `register`: registers the images of a release as templates in CloudStack. */

import { resolve as resolvePath } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type CallCloud, openCloud } from '../cloudstack/api.ts'
import { type CloudImage, readCloudImages } from '../cloudstack/images.ts'
import { chooseZones, registerImage, waitUntilReady, type Zone } from '../cloudstack/register.ts'
import { renderSeeding } from '../cloudstack/seeding.ts'
import { readCloudSettings } from '../cloudstack/settings.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { hasLogin, redactUrl } from '../redact.ts'
import { type TargetName, targetNames } from '../targets/registry.ts'
import { untilInterrupted } from './interrupt.ts'
import { collect } from './options.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

interface RegisterOptions {
  readonly from?: string
  readonly target: readonly string[]
  readonly variant: readonly string[]
  readonly zone: readonly string[]
  readonly name?: string
  readonly osType?: string
  readonly profile?: string
  readonly system?: boolean
  readonly timeout: number
  readonly json?: boolean
}

export function registerCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument('<folder>', 'folder of the release')
    .option(
      '--from <address>',
      'URL that its files are served from, e.g. https://mirror.example.org/systemvm/4.22',
    )
    .addOption(
      new Option('--target <target>', 'image to register; may be repeated; by default all')
        .choices(targetNames)
        .argParser(collect)
        .default([]),
    )
    .option('--variant <name>', 'variant to register; may be repeated; by default all', collect, [])
    .option('--zone <zone>', 'name or identifier of a zone; may be repeated; by default all', collect, [])
    .option('--name <name>', 'name of the template, if only one image is registered')
    .option('--os-type <name>', "OS type of the template, by CloudStack's name")
    .option('--profile <name>', 'profile in cmk’s configuration to use, instead of the environment')
    .option('--system', 'register system VM templates with the API, for a running cloud')
    .option('--timeout <seconds>', 'time limit for a template to be ready', parseSeconds, 3600)
    .option('--json', 'print the templates as JSON')
    .action((folder: string, options: RegisterOptions) => choose(() => register(folder, options, terminal)))
}

// --- internal ---

async function register(folder: string, options: RegisterOptions, terminal: Terminal): Promise<number> {
  const targets = options.target.map(requireTarget)
  const images = nameImages(
    await readCloudImages(resolvePath(folder), { targets, variants: options.variant }),
    options,
  )
  const from = options.from === undefined ? undefined : requireAddress(options.from)
  const seeded = images.filter(({ isSystem }) => isSystem && options.system !== true)
  const registered = images.filter((image) => !seeded.includes(image))
  if (!options.json)
    for (const image of seeded) terminal.out(`${renderSeeding(image, from && `${from}/${image.file}`)}\n`)
  if (registered.length === 0 && !options.json) return exitCodes.ok
  if (from === undefined && registered.length > 0)
    throw usage(
      '--from is missing',
      'CloudStack downloads the files: give the URL that they are served from.',
    )
  const call =
    registered.length === 0 ? undefined : openCloud(await readCloudSettings(process.env, options.profile))
  const templates =
    call === undefined ? [] : await registerAll(call, registered, from ?? '', options, terminal)
  if (options.json)
    terminal.out(
      `${JSON.stringify({ templates, toSeed: seeded.map(({ name, file }) => ({ name, file })) }, null, 2)}\n`,
    )
  return exitCodes.ok
}

interface RegisteredTemplate {
  readonly id: string
  readonly name: string
  readonly zones: readonly string[]
}

async function registerAll(
  call: CallCloud,
  images: readonly CloudImage[],
  from: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<readonly RegisteredTemplate[]> {
  const templates: RegisteredTemplate[] = []
  await untilInterrupted(async (signal) => {
    const awaited = await chooseZones(call, options.zone, signal)
    if (awaited.length === 0)
      throw usage('CloudStack has no zone that this account can see', 'add a zone first.')
    const zones: readonly Zone[] = options.zone.length === 0 ? [] : awaited
    for (const image of images) {
      const onStatus = (zone: string, status: string) => terminal.error(`  ${zone}: ${status}\n`)
      const request = { image, url: `${from}/${image.file}`, zones, awaited, onStatus, signal }
      const id = await registerImage(call, request)
      terminal.error(`● ${image.name}  ${id}\n`)
      await waitUntilReady(call, id, request, { timeoutMs: options.timeout * 1000, pauseMs: pollMs })
      if (!options.json) terminal.out(`${id}\n`)
      terminal.error(
        `${terminal.colors.green('✔')} ${image.name} is ready in ${awaited.map(({ name }) => name).join(', ')}\n`,
      )
      templates.push({ id, name: image.name, zones: awaited.map(({ name }) => name) })
    }
  })
  return templates
}

/** A download takes minutes. */
const pollMs = 3000

function nameImages(images: readonly CloudImage[], { name, osType }: RegisterOptions): readonly CloudImage[] {
  if (name !== undefined && images.length > 1)
    throw usage(
      `--name is for one image, but ${images.length} were chosen`,
      'choose one with --target and --variant.',
    )
  return images.map((image) => ({
    ...image,
    ...(name === undefined ? {} : { name }),
    ...(osType === undefined ? {} : { osType }),
  }))
}

function requireTarget(text: string): TargetName {
  const target = targetNames.find((name) => name === text)
  if (target !== undefined) return target
  throw usage(`${JSON.stringify(text)} is not one of ${targetNames.join(', ')}`, 'e.g. --target kvm')
}

/** Returns it without a trailing slash. */
function requireAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    !hasLogin(url) &&
    url.search === '' &&
    url.hash === ''
  )
    return url.href.replace(/\/+$/, '')
  throw usage(
    `--from is not a URL that CloudStack can download from: ${redactUrl(text)}`,
    'e.g. --from https://mirror.example.org/systemvm/4.22, without a login.',
  )
}

function parseSeconds(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of seconds, e.g. 3600.')
}

function usage(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'usage', message, hint, exitCode: exitCodes.badInput })
}
