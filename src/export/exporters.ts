/** How each target's file is made. */

import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Target } from '../config/image.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import { ovaOptions } from '../config/vmware.ts'
import { type Json, sha256 } from '../digest.ts'
import { writeBzip2, writeZip } from '../formats/archive.ts'
import type { Grain } from '../formats/grains.ts'
import { exportOva } from '../formats/ova.ts'
import { ovfTemplate } from '../formats/ovf.ts'
import { exportQcow2 } from '../formats/qcow2.ts'
import { exportRaw } from '../formats/raw.ts'
import type { RawDisk } from '../formats/raw-disk.ts'
import { writeHypervVhd, writeXenVhd } from '../formats/vhd.ts'
import { writeVhdx } from '../formats/vhdx.ts'
import { readTemplate } from '../template.ts'

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
  /** Compressed once for all targets that take them; read once by each. */
  readonly grains: AsyncIterable<Grain> | undefined
  /** Told how much is done, from 0 to 1. */
  readonly onProgress: (fraction: number) => void
  readonly signal: AbortSignal
}

/** One target's file. When `write` returns, it is checked and compared with the disk; when it fails, there may be half of it. */
export interface Exporter {
  readonly format: string
  /** Raised whenever the writer makes other bytes of the same disk: files of before it are then made anew. */
  readonly revision: number
  /** CloudStack's end of the file's name. */
  readonly suffix: (source: ExportSource) => string
  /** What the file depends on beside the disk. */
  readonly settings: (source: ExportSource) => Json
  /** Whether it stores compressed grains, which others may read beside it. */
  readonly takesGrains: (source: Pick<ExportSource, 'formats'>) => boolean
  readonly write: (job: ExportJob, file: string) => Promise<void>
}

const kvm: Exporter = {
  format: 'qcow2',
  revision: 1,
  suffix: () => 'kvm.qcow2',
  settings: ({ formats }) => formats.kvm,
  takesGrains: ({ formats }) => formats.kvm.compression === 'zlib',
  write: ({ disk, formats, onProgress, signal, grains }, file) =>
    exportQcow2(disk, file, formats.kvm, onProgress, signal, grains),
}

const xenserver: Exporter = {
  format: 'vhd',
  revision: 1,
  suffix: () => 'xen.vhd',
  settings: ({ formats, sourceDateEpoch }) => ({ ...formats.xenserver, sourceDateEpoch }),
  takesGrains: () => false,
  write: ({ disk, key, sourceDateEpoch, onProgress, signal }, file) =>
    writeXenVhd(disk, file, { uuidSeed: key, timestampSeconds: sourceDateEpoch }, onProgress, signal),
}

const hyperv: Exporter = {
  format: 'vhd',
  revision: 1,
  suffix: ({ formats }) => `hyperv.${formats.hyperv.container}`,
  settings: ({ formats, sourceDateEpoch }) => ({ ...formats.hyperv, sourceDateEpoch }),
  takesGrains: () => false,
  write: ({ disk, key, formats, sourceDateEpoch, onProgress, signal }, file) => {
    const { container, subformat } = formats.hyperv
    if (container === 'vhdx') return writeVhdx(disk, file, { uuidSeed: key }, onProgress, signal)
    const options = { subformat, uuidSeed: key, timestampSeconds: sourceDateEpoch }
    return writeHypervVhd(disk, file, options, onProgress, signal)
  },
}

const vmware: Exporter = {
  format: 'ova',
  revision: 1,
  suffix: () => 'vmware.ova',
  settings: ({ formats, sourceDateEpoch, fileName }) => ({
    ...formats.vmware,
    sourceDateEpoch,
    fileName,
    envelope: sha256(readTemplate(ovfTemplate)),
  }),
  takesGrains: () => true,
  write: ({ disk, key, fileName, formats, sourceDateEpoch, onProgress, signal, grains }, file) =>
    exportOva(
      disk,
      file,
      { name: fileName, ...ovaOptions(formats.vmware), sourceDateEpoch, key },
      onProgress,
      signal,
      grains,
    ),
}

const raw: Exporter = {
  format: 'raw',
  revision: 1,
  suffix: () => 'ovm.raw',
  settings: ({ formats }) => formats.raw,
  takesGrains: () => false,
  write: ({ disk, onProgress, signal }, file) => exportRaw(disk, file, onProgress, signal),
}

type Archive = 'none' | 'bz2' | 'zip'

/** The same file, packed once more where the configuration asks for it. */
function packed(exporter: Exporter, archiveOf: (formats: PipelineFields['formats']) => Archive): Exporter {
  return {
    ...exporter,
    suffix: (source) => {
      const archive = archiveOf(source.formats)
      return `${exporter.suffix(source)}${archive === 'none' ? '' : `.${archive}`}`
    },
    write: async (job, file) => {
      const archive = archiveOf(job.formats)
      if (archive === 'none') return exporter.write(job, file)
      const { onProgress, signal, sourceDateEpoch } = job
      const plainName = `${job.fileName}-${exporter.suffix(job)}`
      const plain = join(dirname(file), plainName)
      try {
        await exporter.write({ ...job, onProgress: (fraction) => onProgress(fraction / 2) }, plain)
        const packing = (fraction: number) => onProgress(0.5 + fraction / 2)
        if (archive === 'bz2') return await writeBzip2(plain, file, packing, signal)
        const entry = { entryName: plainName, timestampSeconds: sourceDateEpoch }
        await writeZip(plain, file, entry, packing, signal)
      } finally {
        await rm(plain, { force: true })
      }
    },
  }
}

export const exporters: Readonly<Record<Target, Exporter>> = {
  kvm: packed(kvm, ({ kvm: { archive } }) => archive),
  xenserver: packed(xenserver, ({ xenserver: { archive } }) => archive),
  hyperv: packed(hyperv, ({ hyperv: { archive } }) => archive),
  vmware,
  raw: packed(raw, ({ raw: { archive } }) => archive),
}
