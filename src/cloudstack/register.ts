/** Registers templates through CloudStack's API and waits until they are ready in every zone. */

import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { exitCodes, PipelineError } from '../errors.ts'
import { withinLimit } from '../host/within-limit.ts'
import { inOneLine, lineOf } from '../text.ts'
import type { CallCloud } from './api.ts'
import { type CloudImage, registrationOf } from './images.ts'

export interface Zone {
  readonly id: string
  readonly name: string
}

export interface RegisterRequest {
  readonly image: CloudImage
  /** URL of the file. */
  readonly url: string
  /** Zones to register in; empty to register the template for all zones. */
  readonly zones: readonly Zone[]
  /** Zones in which the template must become ready. */
  readonly awaited: readonly Zone[]
  /** Called when the status of a zone changes. */
  readonly onStatus: (zone: string, status: string) => void
  readonly signal: AbortSignal
}

export interface Waiting {
  readonly timeoutMs: number
  /** Pause between two status queries. */
  readonly pauseMs: number
}

const id = lineOf(64).min(1)
const listed = <Item extends z.ZodType>(name: string, item: Item) =>
  z
    .object({ [name]: z.array(item).max(10_000).optional() })
    .transform((answer) => (answer[name] ?? []) as z.output<Item>[])

const zones = listed('zone', z.object({ id, name: lineOf(255) }))
const osTypes = listed('ostype', z.object({ id, description: z.string().max(255) }))
const templates = listed(
  'template',
  z.object({
    id,
    name: z.string().max(255),
    checksum: z.string().max(200).optional(),
    zoneid: id.optional(),
    zonename: z.string().max(255).optional(),
    isready: z.boolean(),
    status: z.string().max(10_000).optional(),
    downloaddetails: z
      .array(z.object({ downloadState: z.string().max(100).optional() }))
      .max(1000)
      .optional(),
  }),
)

type Template = z.output<typeof templates>[number]

/** All zones, or those given by name or identifier. @throws PipelineError `usage` */
export async function chooseZones(
  call: CallCloud,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly Zone[]> {
  const all = await call({ command: 'listZones', answer: zones, signal })
  const unknown = names.find((name) => !all.some((zone) => zone.name === name || zone.id === name))
  if (unknown === undefined)
    return names.length === 0
      ? all
      : all.filter((zone) => names.some((name) => name === zone.name || name === zone.id))
  throw new PipelineError({
    code: 'usage',
    message: `CloudStack has no zone ${JSON.stringify(unknown)}`,
    hint: `it has: ${all.map(({ name }) => name).join(', ') || 'none that this account can see'}`,
    exitCode: exitCodes.badInput,
  })
}

/**
 * Registers an image unless a template with its name and checksum already exists.
 * @returns the template's identifier
 * @throws PipelineError `cloudstack-refused`, `usage`
 */
export async function registerImage(call: CallCloud, request: RegisterRequest): Promise<string> {
  const { image, url, signal } = request
  const { name } = image
  const all = await call({
    command: 'listTemplates',
    parameters: { templatefilter: 'self', name },
    answer: templates,
    signal,
  })
  const namesake = all.find((template) => template.name === name)
  if (namesake !== undefined) {
    if (image.checksum.endsWith(`}${namesake.checksum}`)) return namesake.id
    throw new PipelineError({
      code: 'usage',
      message: `CloudStack has a template ${name} with ${namesake.checksum === undefined ? 'no checksum' : 'another checksum'}: ${namesake.id}`,
      hint: 'delete or rename that one, or give this one another name with --name.',
      exitCode: exitCodes.badInput,
    })
  }
  const ostypeid = await findOsType(call, image.osType, signal)
  const [registered] = await call({
    command: 'registerTemplate',
    parameters: {
      ...registrationOf(image, url),
      ostypeid,
      zoneids: request.zones.length === 0 ? '-1' : request.zones.map((zone) => zone.id).join(','),
    },
    answer: templates,
    signal,
  })
  if (registered !== undefined) return registered.id
  throw new PipelineError({
    code: 'cloudstack-refused',
    message: `CloudStack accepted ${name}, but its answer names no template`,
    hint: 'look for it with cmk list templates templatefilter=self.',
    exitCode: exitCodes.hostNotFit,
  })
}

/** @throws PipelineError `template-not-ready` in CloudStack's own words */
export async function waitUntilReady(
  call: CallCloud,
  template: string,
  { image, awaited, onStatus, signal }: RegisterRequest,
  { timeoutMs, pauseMs }: Waiting,
): Promise<void> {
  const until = performance.now() + timeoutMs
  const said = new Map<string, string>()
  let waiting = awaited.map((zone) => ({ zone, status: 'not known' }))
  const late = () =>
    notReady(
      image,
      `it took too long; ${waiting.map(({ zone, status }) => `${zone.name}: ${status}`).join(', ')}`,
    )
  const ask = (within: AbortSignal) =>
    call({
      command: 'listTemplates',
      parameters: { templatefilter: 'self', id: template },
      answer: templates,
      signal: within,
    })
  for (;;) {
    const found = await withinLimit(until - performance.now(), signal, ask, late)
    const states = awaited.map((zone) => ({
      zone,
      ...stateOf(found.find(({ zoneid }) => zoneid === zone.id)),
    }))
    for (const { zone, status } of states) {
      if (said.get(zone.id) === status) continue
      said.set(zone.id, status)
      onStatus(zone.name, status)
    }
    const failed = states.find(({ hasFailed }) => hasFailed)
    if (failed !== undefined) throw notReady(image, `${failed.zone.name}: ${failed.status}`)
    waiting = states.filter(({ isReady }) => !isReady)
    if (waiting.length === 0) return
    if (performance.now() + pauseMs > until) throw late()
    await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

// --- internal ---

const failures = ['DOWNLOAD_ERROR', 'ABANDONED', 'LIMIT_REACHED', 'UNKNOWN']

function stateOf(template: Template | undefined): {
  readonly status: string
  readonly isReady: boolean
  readonly hasFailed: boolean
} {
  if (template === undefined) return { status: 'not there yet', isReady: false, hasFailed: false }
  const { isready: isReady, status = isReady ? 'ready' : 'not ready', downloaddetails = [] } = template
  const hasFailed =
    !isReady && downloaddetails.some(({ downloadState = '' }) => failures.includes(downloadState))
  return { status: inOneLine(status), isReady, hasFailed }
}

async function findOsType(call: CallCloud, description: string, signal: AbortSignal): Promise<string> {
  const found = await call({
    command: 'listOsTypes',
    parameters: { description },
    answer: osTypes,
    signal,
  })
  const exact = found.find((type) => type.description === description)
  if (exact !== undefined) return exact.id
  throw new PipelineError({
    code: 'usage',
    message: `CloudStack has no OS type ${JSON.stringify(description)}`,
    hint: 'choose one of cmk list ostypes with --os-type.',
    exitCode: exitCodes.badInput,
  })
}

function notReady({ name }: CloudImage, why: string): PipelineError {
  return new PipelineError({
    code: 'template-not-ready',
    message: `the template ${name} is not ready: ${why}`,
    hint: 'the storage VM downloads it: check that it can reach the address (secstorage.allowed.internal.sites), and that the file there is the registered one.',
    exitCode: exitCodes.hostNotFit,
  })
}
