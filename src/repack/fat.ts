/** Recreates a FAT filesystem from its files; only the EFI system partition has one. */

import { mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '../errors.ts'
import { bytesIn, limitTransfer } from '../store/transfer-limit.ts'
import { runTool, type ToolJob } from './run-tool.ts'

/** `folder` is for the files. */
export interface FatJob extends ToolJob {
  /** A copy of the filesystem. */
  readonly from: string
  /** File to make. */
  readonly to: string
}

/** Makes a FAT filesystem with the same geometry, serial number, label and files. @throws PipelineError `repack-failed`, `repack-unfit` */
export async function makeFat(job: FatJob): Promise<void> {
  const { from, to, folder } = job
  const geometry = await readGeometry(from)
  const files = join(folder, 'files')
  await mkdir(files)
  if ((await runTool('mdir', ['-b', '-i', from, '::/'], job)).trim() !== '')
    await copyFiles(job, files, geometry.sizeBytes)
  await runTool('mkfs.vfat', [...wordsOf(geometry), to, `${geometry.sizeBytes / 1024}`], job)
  await copyFolder(files, '::', job)
}

// --- internal ---

/** Any number of a guest's files can share their content, and a folder can be in itself. */
async function copyFiles(job: FatJob, files: string, mostBytes: number): Promise<void> {
  const tooMuch = new PipelineError({
    code: 'repack-unfit',
    message: `the final disk cannot be recreated: the files of its EFI system partition have more than the ${mostBytes} bytes that it has`,
    hint: "remove them in a stage, such as cleanup, or keep the last stage's disk with reproducible: false.",
  })
  const limit = limitTransfer(files, mostBytes, tooMuch, job.signal)
  try {
    const within = { ...job, signal: limit.signal }
    await runTool('mcopy', ['-s', '-n', '-Q', '-i', job.from, '::/*', files], within)
  } finally {
    limit.stop()
  }
  if ((await bytesIn(files)) > mostBytes) throw tooMuch
}

/** Contents of the first sector. */
interface Geometry {
  readonly sizeBytes: number
  readonly bits: 12 | 16 | 32
  readonly sectorsPerCluster: number
  readonly reservedSectors: number
  readonly tables: number
  readonly hiddenSectors: number
  /** Eight hexadecimal digits. */
  readonly serial: string
  /** Empty if there is none. */
  readonly label: string
}

/** Offsets in the first sector: see Microsoft's FAT specification, "Boot Sector and BPB". */
async function readGeometry(file: string): Promise<Geometry> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const { buffer: sector } = await handle.read(Buffer.alloc(512), 0, 512, 0)
    const is32 = sector.readUInt16LE(22) === 0
    const extended = is32 ? 64 : 36
    const type = sector.toString('latin1', extended + 18, extended + 26).trim()
    const bits = is32 ? 32 : type === 'FAT12' ? 12 : 16
    const label = sector.toString('latin1', extended + 7, extended + 18).trimEnd()
    return {
      sizeBytes: size,
      bits,
      sectorsPerCluster: sector.readUInt8(13),
      reservedSectors: sector.readUInt16LE(14),
      tables: sector.readUInt8(16),
      hiddenSectors: sector.readUInt32LE(28),
      serial: sector
        .readUInt32LE(extended + 3)
        .toString(16)
        .padStart(8, '0'),
      label: label === 'NO NAME' ? '' : label,
    }
  } finally {
    await handle.close()
  }
}

function wordsOf(geometry: Geometry): readonly string[] {
  const { bits, sectorsPerCluster, reservedSectors, tables, hiddenSectors, serial, label } = geometry
  return [
    ...['--invariant', '-C', '-F', `${bits}`, '-s', `${sectorsPerCluster}`, '-R', `${reservedSectors}`],
    ...['-f', `${tables}`, '-h', `${hiddenSectors}`, '-i', serial, ...(label === '' ? [] : ['-n', label])],
  ]
}

/** Copies one file after another, in the order of their names. */
async function copyFolder(from: string, to: string, job: FatJob): Promise<void> {
  const entries = await readdir(from, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [path, target] = [join(from, entry.name), `${to}/${entry.name}`]
    if (entry.isDirectory()) {
      await runTool('mmd', ['-i', job.to, target], job)
      await copyFolder(path, target, job)
    } else {
      await runTool('mcopy', ['-Q', '-i', job.to, path, target], job)
    }
  }
}
