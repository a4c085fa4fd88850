/** An OVA: a tar with the OVF description of the virtual machine, a manifest of checksums, and the disk. */

import { open } from 'node:fs/promises'
import { sha256 } from '../digest.ts'
import { fileNode, imageNode, stretchNode } from '../disk/block-node.ts'
import { compareImages } from '../disk/qemu-img.ts'
import { createWriteStream } from '../host/writing.ts'
import { ExportFault } from './failures.ts'
import { writeAt } from './file-bytes.ts'
import type { Grain } from './grains.ts'
import { type OvfMachine, type OvfView, renderOvf } from './ovf.ts'
import type { RawDisk } from './raw-disk.ts'
import { writeStreamOptimizedVmdk } from './vmdk.ts'
import { checkVmdk } from './vmdk-check.ts'

export interface OvaOptions {
  /** Name of the virtual machine, and of the files in the package. */
  readonly name: string
  readonly machine: OvfMachine
  /** Version of VMware's virtual hardware, which the disk states too. */
  readonly hardwareVersion: number
  /** Timestamp of the files in the package: seconds since 1970. */
  readonly sourceDateEpoch: number
  /** Seed of the disk's content identifiers: the same for the same content. */
  readonly key: string
}

/**
 * Writes `file`, then checks that its VMDK is valid and that qemu-img reads the same data from it as from `disk`. Needs space
 * for this file only: everything before the disk in the tar has a size known in advance, and is filled in afterward.
 *
 * @param grains of the disk, if they are also compressed for another file
 */
export async function exportOva(
  disk: RawDisk,
  file: string,
  options: OvaOptions,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
  grains?: AsyncIterable<Grain>,
): Promise<void> {
  const plan = planPackage(disk, options)
  const written = await writeStreamOptimizedVmdk(
    disk,
    createWriteStream(file, { start: plan.diskOffset }),
    { key: options.key, name: plan.diskFile, hardwareVersion: options.hardwareVersion },
    (fraction) => onProgress(fraction * writingShare),
    signal,
    grains,
  )
  if (written.sizeBytes > maximumBytes) throw tooLarge(written.sizeBytes)
  await writeAround(file, plan, written)
  const part = { offset: plan.diskOffset, length: written.sizeBytes }
  // qemu-img will unpack the grains below.
  await checkVmdk(file, { part, unpacks: false, signal })
  onProgress((1 + writingShare) / 2)
  const inside = stretchNode(fileNode(file), { offset: plan.diskOffset, sizeBytes: written.sizeBytes })
  await compareImages(imageNode('raw', disk.path), { driver: 'vmdk', file: inside }, signal)
  onProgress(1)
}

/** Share of the time that writing takes; the rest is for the two passes that check the result. */
const writingShare = 0.65

/** The largest file in a ustar, the only tar format that DMTF allows. */
const maximumBytes = 8 ** 11 - 1

const blockBytes = 512

interface PackagePlan {
  readonly diskFile: string
  readonly diskOffset: number
  /** Everything before the disk, which ends at `diskOffset`. */
  readonly renderHead: (disk: DiskFacts) => Buffer
}

type DiskFacts = Pick<OvfView, 'populatedBytes'> & { readonly sizeBytes: number; readonly sha256: string }

/** Computes the position of everything in the package, from what is known before the disk is written. */
function planPackage(disk: RawDisk, { name, machine, sourceDateEpoch }: OvaOptions): PackagePlan {
  const [ovfFile, manifestFile, diskFile] = [`${name}.ovf`, `${name}.mf`, `${name}-disk1.vmdk`]
  const describe = ({ sizeBytes, populatedBytes }: DiskFacts) =>
    renderOvf({
      name,
      machine,
      diskFile,
      diskFileBytes: sizeBytes,
      capacityBytes: disk.sizeBytes,
      populatedBytes,
    })
  // These are the largest possible numbers, so no description is longer.
  const largest: DiskFacts = { sizeBytes: maximumBytes, populatedBytes: disk.sizeBytes, sha256: sha256('') }
  const ovfRoom = toBlocks(Buffer.byteLength(describe(largest)))
  const renderHead = (facts: DiskFacts) => {
    // Shorter numbers could leave the last block empty. XML may end with empty lines, and these fill it.
    const text = describe(facts)
    const ovf = text + '\n'.repeat(Math.max(0, ovfRoom - blockBytes + 1 - Buffer.byteLength(text)))
    const manifest = renderManifest({ [ovfFile]: sha256(ovf), [diskFile]: facts.sha256 })
    return Buffer.concat([
      tarFile(ovfFile, ovf, sourceDateEpoch),
      tarFile(manifestFile, manifest, sourceDateEpoch),
      tarHeader(diskFile, facts.sizeBytes, sourceDateEpoch),
    ])
  }
  return { diskFile, diskOffset: renderHead(largest).length, renderHead }
}

/** Writes everything before the disk, and the end of the tar. */
async function writeAround(path: string, plan: PackagePlan, disk: DiskFacts): Promise<void> {
  const head = plan.renderHead(disk)
  if (head.length !== plan.diskOffset)
    throw new Error(`${head.length} bytes for a room of ${plan.diskOffset}`)
  const file = await open(path, 'r+')
  try {
    await writeAt(file, head, 0)
    const end = Buffer.alloc(2 * blockBytes)
    // A VMDK consists of whole sectors, which are the same size as a tar's blocks.
    await writeAt(file, end, plan.diskOffset + disk.sizeBytes)
  } finally {
    await file.close()
  }
}

/** Checksums in the format of `openssl dgst`. Importers reject lines with any other spacing. */
function renderManifest(checksums: Readonly<Record<string, string>>): string {
  return Object.entries(checksums)
    .map(([name, checksum]) => `SHA256(${name})= ${checksum}\n`)
    .join('')
}

function tarFile(name: string, text: string, modified: number): Buffer {
  const data = Buffer.alloc(toBlocks(Buffer.byteLength(text)))
  data.write(text)
  return Buffer.concat([tarHeader(name, Buffer.byteLength(text), modified), data])
}

/** The ustar header of a regular file owned by root. */
function tarHeader(name: string, sizeBytes: number, modified: number): Buffer {
  const header = Buffer.alloc(blockBytes)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  const put = (offset: number, length: number, text: string) => {
    if (Buffer.byteLength(text) > length) throw new Error(`${text} does not fit a tar's ${length} bytes`)
    header.write(text, offset)
  }
  put(0, 100, name)
  put(100, 8, octal(0o644, 7))
  put(108, 8, octal(0, 7))
  put(116, 8, octal(0, 7))
  put(124, 11, octal(sizeBytes, 11))
  put(136, 11, octal(modified, 11))
  // The checksum field itself counts as spaces.
  put(148, 8, ' '.repeat(8))
  put(156, 1, '0')
  put(257, 6, 'ustar')
  put(263, 2, '00')
  put(329, 8, octal(0, 7))
  put(337, 8, octal(0, 7))
  const sum = header.reduce((total, byte) => total + byte, 0)
  put(148, 8, `${octal(sum, 6)}\0 `)
  return header
}

function toBlocks(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes
}

function tooLarge(sizeBytes: number): ExportFault {
  return new ExportFault(
    `its disk has ${sizeBytes} bytes when compressed, and a file in an OVA may have ${maximumBytes}`,
    'put less on the disk; VMware accepts no larger file in one piece.',
  )
}
