/** Where an image comes from, in sentences. */

import { formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'
import { count, formatInstant, join } from './texts.ts'

export interface ProvenanceView {
  readonly paragraphs: readonly string[]
  readonly command: string
  readonly tools: readonly { readonly name: string; readonly version: string }[]
}

export function describeProvenance(report: Report): ProvenanceView {
  return {
    paragraphs: [
      describeSource(report),
      describePackages(report),
      describeLayers(report),
      describeHost(report),
      describeTrust(report),
    ],
    command: report.run.command.join(' '),
    tools: Object.entries(report.host.tools).map(([name, version]) => ({ name, version })),
  }
}

// --- internal ---

/** Most names in a sentence; more would obscure what it says. */
const mostNames = 8

function someOf(names: readonly string[]): string {
  if (names.length <= mostNames) return join(names)
  return join([...names.slice(0, mostNames), `${names.length - mostNames} more`])
}

function describeSource({ source, image }: Report): string {
  const what = `${image.name} ${image.release} for ${image.variant}: Debian ${image.suite}, ${image.arch}, layer 0 by ${image.installer}.`
  if (source === undefined) return `${what} The pipeline is not in a checkout, so its commit is unknown.`
  const where = source.repository === undefined ? '' : ` of ${source.repository}`
  const changes =
    source.changed.length === 0
      ? 'with nothing changed since'
      : `with ${count(source.changed.length, 'uncommitted change')}: ${someOf(source.changed)}`
  return `${what} The pipeline is that of commit ${source.commit}${where}, ${changes}.`
}

function describePackages({ pinned, freshness }: Report): string {
  const { snapshot = null, lock = null } = pinned ?? {}
  const by = [
    ...(snapshot === null ? [] : [`the snapshot ${snapshot}`]),
    ...(lock === null ? [] : [`the lock with sha256 ${lock}`]),
  ]
  const pins =
    by.length === 0
      ? 'Nothing pins the packages: they are those that the mirror served, and another machine may get others.'
      : `The packages are pinned by ${join(by)}.`
  if (freshness === undefined || freshness.status === 'unknown') return pins
  const archives = freshness.archives.map(({ suite, date }) => `${suite} of ${formatInstant(date)}`)
  return `${pins} They were compared with ${join(archives)}.`
}

function describeLayers({ base, stages }: Report): string {
  const ran = stages.filter(({ status }) => status === 'ran')
  const cached = stages.filter(({ status }) => status === 'cached')
  const made = [
    ...(cached.length === 0 ? [] : [`${cached.length} came from the store`]),
    ...(ran.length === 0 ? [] : [`${ran.length} were made in this run`]),
  ]
  const of = made.length === 0 ? '' : ` Of ${count(stages.length, 'stage')}, ${join(made)}.`
  const bottom =
    base === undefined
      ? 'The run ended before layer 0 was complete.'
      : `Layer 0 is ${base.key.slice(0, 12)}…, ${describeOrigin(base.origin)}.`
  const pulled = stages.flatMap(({ name, origin }) =>
    origin === undefined ? [] : [`${name} (${describeOrigin(origin)})`],
  )
  return `${bottom}${of}${pulled.length === 0 ? '' : ` Not made on this host: ${someOf(pulled)}.`}`
}

type Origin = NonNullable<Report['base']>['origin']

function describeOrigin(origin: Origin): string {
  if (origin === undefined) return 'made on this host'
  const by = origin.signedBy === undefined ? 'without requiring a signature' : `signed by ${origin.signedBy}`
  return `pulled from ${origin.registry} on ${formatInstant(origin.pulledAt)}, ${by}`
}

function describeHost({ host, run }: Report): string {
  const { accelerator, acceleratorReason, cpus, memoryMiB } = host
  const machine = `The host has ${count(cpus, 'processor')} and ${(memoryMiB / 1024).toFixed(1)} GiB of memory.`
  const ran = `The run began on ${formatInstant(run.startedAt)} and took ${formatSeconds(run.durationSeconds)}.`
  if (accelerator === null) return `${ran} ${machine} It started no guest.`
  const why = acceleratorReason === null ? '' : ` Why: ${acceleratorReason}`
  return `${ran} ${machine} Guests ran ${accelerator === 'kvm' ? 'on KVM' : `under emulation (${accelerator})`}.${why}`
}

function describeTrust({ images, verifications = [] }: Report): string {
  if (images.length === 0) return 'The run made no image.'
  const seen = images.filter(({ sha256, target }) =>
    verifications.some((one) => one.sha256 === sha256 && one.target === target),
  )
  const checked =
    seen.length === images.length
      ? 'every one of them was verified'
      : seen.length === 0
        ? 'none of them was verified'
        : `${seen.length} of them were verified`
  return `It made ${count(images.length, 'image file')}; ${checked}. This page is not signed; a release can be.`
}
