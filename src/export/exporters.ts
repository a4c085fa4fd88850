/** How each target's file is made. */

import type { Target } from '../config/image.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { Json } from '../digest.ts'
import type { Layer } from '../store/store.ts'
import { exportOva } from './ova.ts'
import { exportQcow2 } from './qcow2.ts'
import { exportRaw } from './raw.ts'
import type { RawDisk } from './raw-disk.ts'
import { verifyVhd, writeHypervVhd, writeXenVhd } from './vhd.ts'

export interface ExportJob {
  /** The final layer, flattened. */
  readonly disk: RawDisk
  readonly image: ResolvedImage
  readonly layer: Layer
  /** Told how much is done, from 0 to 1. */
  readonly onProgress: (fraction: number) => void
  readonly signal: AbortSignal
}

/** One target's file. `write` leaves it whole, checked and compared with the disk, or not at all. */
export interface Exporter {
  readonly format: string
  /** CloudStack's suffix of the file's name. */
  readonly suffix: (image: ResolvedImage) => string
  /** What of the configuration the file depends on, beside the layer. */
  readonly settings: (image: ResolvedImage) => Json
  readonly write: (job: ExportJob, file: string) => Promise<void>
}

const kvm: Exporter = {
  format: 'qcow2',
  suffix: () => 'kvm.qcow2',
  settings: ({ formats }) => formats.kvm,
  write: ({ disk, image, onProgress, signal }, file) =>
    exportQcow2(disk, file, image.formats.kvm, onProgress, signal),
}

const xenserver: Exporter = {
  format: 'vhd',
  suffix: () => 'xen.vhd',
  settings: ({ sourceDateEpoch }) => ({ sourceDateEpoch }),
  write: async ({ disk, image, layer, onProgress, signal }, file) => {
    const options = { uuidSeed: layer.sha256, timestampSeconds: image.sourceDateEpoch }
    await writeXenVhd(disk, file, options, onProgress, signal)
    await verifyVhd(disk, file, signal)
  },
}

const hyperv: Exporter = {
  format: 'vhd',
  suffix: () => 'hyperv.vhd',
  settings: ({ formats, sourceDateEpoch }) => ({ ...formats.hyperv, sourceDateEpoch }),
  write: async ({ disk, image, layer, onProgress, signal }, file) => {
    const { subformat } = image.formats.hyperv
    const options = { uuidSeed: layer.sha256, timestampSeconds: image.sourceDateEpoch, subformat }
    await writeHypervVhd(disk, file, options, onProgress, signal)
    await verifyVhd(disk, file, signal)
  },
}

const vmware: Exporter = {
  format: 'ova',
  suffix: () => 'vmware.ova',
  settings: ({ formats, sourceDateEpoch, fileName }) => ({ ...formats.vmware, sourceDateEpoch, fileName }),
  write: ({ disk, image, layer, onProgress, signal }, file) => {
    const { fileName: name, formats, sourceDateEpoch } = image
    const options = { name, settings: formats.vmware, sourceDateEpoch, key: layer.sha256 }
    return exportOva(disk, file, options, onProgress, signal)
  },
}

const raw: Exporter = {
  format: 'raw',
  suffix: () => 'ovm.raw',
  settings: () => ({}),
  write: ({ disk, onProgress, signal }, file) => exportRaw(disk, file, onProgress, signal),
}

export const exporters: Readonly<Record<Target, Exporter>> = { kvm, xenserver, hyperv, vmware, raw }
