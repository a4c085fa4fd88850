/** Layers on their way to or from a registry: how many have arrived, and how long the rest will take. */

import { formatSeconds, plural } from '../../report/format.ts'
import type { Reporter } from './progress.ts'

export interface LayerTransferView {
  /** Announces what will be transferred. */
  readonly begin: (layers: number, sizeBytes: number | undefined) => void
  /** Counts another layer as transferred. */
  readonly arrived: (sizeBytes: number) => void
}

/** @param name of the part, such as `push` */
export function showTransfer(
  name: string,
  { emit }: Reporter,
  nowMs = () => performance.now(),
): LayerTransferView {
  const startedMs = nowMs()
  let total: { readonly layers: number; readonly sizeBytes: number | undefined } | undefined
  let [layers, sizeBytes] = [0, 0]
  const show = () => {
    if (total === undefined) return
    const share = total.sizeBytes === undefined ? layers / total.layers : sizeBytes / total.sizeBytes
    const left = share > 0 && share < 1 ? ((nowMs() - startedMs) / 1000) * (1 / share - 1) : undefined
    const time = left === undefined ? '' : `, about ${formatSeconds(left)} left`
    emit({ kind: 'part-progress', name, text: `${layers} of ${plural(total.layers, 'layer')}${time}` })
  }
  emit({ kind: 'part-started', name, estimateSeconds: undefined })
  return {
    begin: (all, bytes) => {
      total = { layers: all, sizeBytes: bytes }
      show()
    },
    arrived: (bytes) => {
      layers += 1
      sizeBytes += bytes
      show()
    },
  }
}
