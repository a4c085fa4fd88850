/** How each target's file is made. */

import type { Target } from '../config/image.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import type { Json } from '../digest.ts'
import { exportOva } from './ova.ts'
import { exportQcow2 } from './qcow2.ts'
import { exportRaw } from './raw.ts'
import type { RawDisk } from './raw-disk.ts'
import { verifyVhd, writeHypervVhd, writeXenVhd } from './vhd.ts'

/** What files are made from, and what they are called. */
export interface ExportSource {
  /** Name of every file without `-<suffix>`, and of the virtual machine in an OVA. */
  readonly fileName: string
  readonly formats: PipelineFields['formats']
  readonly sourceDateEpoch: number
}

export interface ExportJob extends ExportSource {
  readonly disk: RawDisk
  /** What identifiers in the files follow from: the same for the same content. */
  readonly key: string
  /** Told how much is done, from 0 to 1. */
  readonly onProgress: (fraction: number) => void
  readonly signal: AbortSignal
}

/** One target's file. `write` leaves it whole, checked and compared with the disk, or not at all. */
export interface Exporter {
  readonly format: string
  /** CloudStack's end of the file's name. */
  readonly suffix: string
  /** What the file depends on beside the disk. */
  readonly settings: (source: ExportSource) => Json
  readonly write: (job: ExportJob, file: string) => Promise<void>
}

const kvm: Exporter = {
  format: 'qcow2',
  suffix: 'kvm.qcow2',
  settings: ({ formats }) => formats.kvm,
  write: ({ disk, formats, onProgress, signal }, file) =>
    exportQcow2(disk, file, formats.kvm, onProgress, signal),
}

const xenserver: Exporter = {
  format: 'vhd',
  suffix: 'xen.vhd',
  settings: ({ sourceDateEpoch }) => ({ sourceDateEpoch }),
  write: async ({ disk, key, sourceDateEpoch, onProgress, signal }, file) => {
    await writeXenVhd(disk, file, { uuidSeed: key, timestampSeconds: sourceDateEpoch }, onProgress, signal)
    await verifyVhd(disk, file, signal)
  },
}

const hyperv: Exporter = {
  format: 'vhd',
  suffix: 'hyperv.vhd',
  settings: ({ formats, sourceDateEpoch }) => ({ ...formats.hyperv, sourceDateEpoch }),
  write: async ({ disk, key, formats, sourceDateEpoch, onProgress, signal }, file) => {
    const options = { ...formats.hyperv, uuidSeed: key, timestampSeconds: sourceDateEpoch }
    await writeHypervVhd(disk, file, options, onProgress, signal)
    await verifyVhd(disk, file, signal)
  },
}

const vmware: Exporter = {
  format: 'ova',
  suffix: 'vmware.ova',
  settings: ({ formats, sourceDateEpoch, fileName }) => ({ ...formats.vmware, sourceDateEpoch, fileName }),
  write: ({ disk, key, fileName, formats, sourceDateEpoch, onProgress, signal }, file) =>
    exportOva(
      disk,
      file,
      { name: fileName, settings: formats.vmware, sourceDateEpoch, key },
      onProgress,
      signal,
    ),
}

const raw: Exporter = {
  format: 'raw',
  suffix: 'ovm.raw',
  settings: () => ({}),
  write: ({ disk, onProgress, signal }, file) => exportRaw(disk, file, onProgress, signal),
}

export const exporters: Readonly<Record<Target, Exporter>> = { kvm, xenserver, hyperv, vmware, raw }
