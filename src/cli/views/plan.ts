/** A plan for people: layers, differences, installer, updates, time, and space. */

import type { ContractName } from '../../config/contract.ts'
import type { Readiness } from '../../installers/installer.ts'
import { sumOfKnown } from '../../plan/estimates.ts'
import type { Room } from '../../plan/room.ts'
import type { Difference } from '../../plan/why.ts'
import { type Colors, formatBytes, formatOutlook, formatTable } from '../../report/format.ts'
import { describeFreshness, type Freshness } from '../../report/freshness.ts'

/** What is planned for one image. */
export interface PlannedImage {
  readonly variant: string
  readonly contract: ContractName | 'none'
  readonly installer: { readonly name: string }
  readonly layers: readonly {
    readonly name: string
    readonly key: string
    readonly action: 'run' | 'cached'
    readonly reason: string | undefined
    /** Present only if requested. */
    readonly differences?: readonly Difference[]
  }[]
  readonly images: 'there' | 'to make'
  readonly estimateSeconds: number | undefined
  readonly assumesEmulation: boolean
  readonly room: Room
  readonly freshness: Freshness | null
}

/** Facts about an image that only people see. */
export interface Remarks {
  /** Whether an upcoming installation can work. */
  readonly readiness: Readiness | undefined
  /** Warnings of the host checks. */
  readonly warnings: readonly string[]
}

/** The store as it is, and as it will be. */
export interface StoreOutlook {
  readonly bytes: number
  readonly maximumBytes: number | null
  /** Bytes that cannot be pruned once the plans are carried out. */
  readonly neededBytes: number
}

/** One or more lines. A warning is marked as one, and is not part of the result. */
export interface PlanText {
  readonly text: string
  readonly isWarning: boolean
}

const result = (text: string): PlanText => ({ text, isWarning: false })
const warning = (text: string): PlanText => ({ text, isWarning: true })

export function renderPlannedImage(
  image: PlannedImage,
  { readiness, warnings }: Remarks,
  colors: Colors,
): readonly PlanText[] {
  const { variant, contract, images, room, freshness } = image
  const { estimateSeconds, assumesEmulation } = image
  const time =
    estimateSeconds === undefined ? 'time unknown' : formatOutlook({ estimateSeconds, assumesEmulation })
  return [
    result(`${colors.bold(variant)}\n${renderLayers(image)}`),
    ...renderDifferences(image, colors),
    ...(readiness === undefined ? [] : [renderReadiness(image, readiness)]),
    ...(contract === 'cloudstack-payload'
      ? [result("contract: cloudstack-payload, for images with CloudStack's own first boot")]
      : []),
    ...(freshness === null ? [] : [renderFreshness(freshness)]),
    result(`images: ${images}; ${time}`),
    ...(room.peakBytes > 0 ? [result(`room: ${describeRoom(room)}`)] : []),
    ...warnings.map(warning),
  ]
}

export function renderStore(
  { bytes, maximumBytes, neededBytes }: StoreOutlook,
  outFolder: string,
  freeBytes: number,
): readonly PlanText[] {
  const most = maximumBytes === null ? '' : ` of at most ${formatBytes(maximumBytes)}`
  const free = formatBytes(freeBytes)
  const now = result(`output: ${outFolder}; ${free} free there, layers take ${formatBytes(bytes)}${most}`)
  if (maximumBytes === null || neededBytes <= maximumBytes) return [now]
  const excess = `more than store.maximumGiB, which is ${formatBytes(maximumBytes)}`
  return [now, warning(`the layers in use will take ${formatBytes(neededBytes)}, ${excess}`)]
}

// --- internal ---

function renderLayers({ layers }: PlannedImage): string {
  const rows = layers.map(({ name, action, key, reason }) => [name, action, key.slice(0, 12), reason ?? ''])
  return formatTable([['layer', 'action', 'key', 'why'], ...rows])
}

function renderDifferences({ layers }: PlannedImage, colors: Colors): readonly PlanText[] {
  return layers.flatMap(({ name, differences = [] }) =>
    differences.map(({ part, lines }) =>
      result(['', colors.bold(`${name}: ${part}`), ...lines.map((line) => `  ${line}`)].join('\n')),
    ),
  )
}

function renderReadiness({ installer }: PlannedImage, { isFit, text, advice }: Readiness): PlanText {
  const line = `installer: ${installer.name} ${text}`
  return isFit ? result(line) : warning(`${line}\n  ${advice}`)
}

function renderFreshness(freshness: Freshness): PlanText {
  const text = `updates: ${describeFreshness(freshness)}`
  if (freshness.status !== 'outdated') return result(text)
  return warning(`${text}\n  build --refresh rebuilds every layer`)
}

/** `about 1.2 GiB: layers 0.2 GiB, kvm 430.0 MiB, a flat disk 1.0 GiB while images are made`, or the assumption. */
function describeRoom({ layers, images, flatBytes, workBytes, peakBytes, isKnown }: Room): string {
  const size = (bytes: number | undefined) => (bytes === undefined ? 'unknown' : formatBytes(bytes))
  const parts = [
    ...(layers.length === 0 ? [] : [`layers ${size(sumOfKnown(layers.map(({ bytes }) => bytes)))}`]),
    ...images.map(({ name, bytes }) => `${name} ${size(bytes)}`),
    ...(images.length === 0 ? [] : [`a flat disk ${size(flatBytes)} while images are made`]),
    ...(workBytes === undefined ? [] : [`${size(workBytes)} while layer 0 is made`]),
  ]
  const total = isKnown ? `about ${formatBytes(peakBytes)}` : `${formatBytes(peakBytes)} must be free`
  return `${total}: ${parts.join(', ')}`
}
