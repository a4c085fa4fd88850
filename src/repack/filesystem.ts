/** Recreates an ext filesystem from its files: the same files give the same bytes, however and whenever they were written. */

import { join, relative } from 'node:path'
import { changeFilesystem } from '../disk/debugfs.ts'
import { readTree, type Superblock } from '../disk/filesystem.ts'
import { mostNames } from '../disk/inodes.ts'
import { sectorBytes } from '../disk/layout.ts'
import type { PartitionEntry } from '../disk/partitions.ts'
import { PipelineError } from '../errors.ts'
import { allEnded } from '../host/all-ended.ts'
import { writeFile } from '../host/writing.ts'
import { type Extraction, prepareContents } from './extract.ts'
import { inOrder, type Request, renderRequests } from './requests.ts'
import { environmentOf, runTool, type ToolJob } from './run-tool.ts'

export interface FilesystemSource {
  /** A copy of the filesystem, with its journal replayed. */
  readonly file: string
  readonly entry: PartitionEntry
  readonly superblock: Superblock
}

export interface FilesystemJob extends ToolJob {
  /** Raw disk to write to, at the partition's offset. */
  readonly disk: string
}

/** Makes a filesystem with the same size, UUID and files. @throws PipelineError `repack-unfit`, `repack-failed` */
export async function makeFilesystem(source: FilesystemSource, job: FilesystemJob): Promise<void> {
  const { entry, superblock, file } = source
  requireKnownFeatures(entry, superblock)
  const files = inOrder(await readTree(file, mostNames, job.signal))
  const inodes = files.map(([, inode]) => inode)
  const contents = await prepareContents(file, inodes, job.folder, job.signal)
  const options = { epoch: job.epoch, hasExtents: entry.filesystem === 'ext4' }
  const requests = [...renderRequests(files, contents, options), ...lastRequests(superblock)]
  await makeEmpty(entry, superblock, job)
  // Relative: a question mark in the path would begin the options.
  const place = `${relative(job.folder, job.disk)}?offset=${entry.startSector * sectorBytes}`
  const surroundings = { cwd: job.folder, env: environmentOf(job) }
  const extraction = contents.extract()
  const changed = changeFilesystem(place, feed(requests, extraction), surroundings, job.signal)
  await allEnded([extraction.ended, changed])
  await requireSound(place, entry, job)
}

// --- internal ---

/** Yields each request as soon as the content that it reads is there: one debugfs writes while the other is still reading. */
async function* feed(requests: readonly Request[], { ready }: Extraction): AsyncGenerator<Buffer> {
  for (const { line, reads } of requests) {
    if (reads !== undefined) await ready(reads)
    yield line
  }
}

/** The defaults of Debian 12's mke2fs, stated explicitly: neither a newer program nor the host's mke2fs.conf changes them. */
const featuresOf = {
  ext2: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file',
  ext3: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file,has_journal',
  ext4: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file,has_journal,extent,64bit,flex_bg,huge_file,dir_nlink,extra_isize,metadata_csum',
}

/** Features that only change how a filesystem stores files. */
const droppedFeatures = new Set([
  ...['needs_recovery', 'orphan_file', 'orphan_present', 'metadata_csum_seed', 'uninit_bg', 'fast_commit'],
  ...['inline_data', 'large_dir', 'meta_bg', 'sparse_super2', 'bigalloc', 'ea_inode', 'stable_inodes'],
])

/** Files on another filesystem may have properties that are not read here, such as encryption or case folding. */
function requireKnownFeatures({ number, filesystem = '' }: PartitionEntry, { features }: Superblock): void {
  const made = new Set([...featuresOf.ext4.split(',')])
  const unknown = features.filter((feature) => !made.has(feature) && !droppedFeatures.has(feature))
  if (unknown.length === 0) return
  throw new PipelineError({
    code: 'repack-unfit',
    message: `the final disk cannot be recreated: the ${filesystem} of partition ${number} has the features ${unknown.join(', ')}`,
    hint: "keep the last stage's disk with reproducible: false.",
    details: { partition: number, features: unknown },
  })
}

const configuration =
  '[fs_types]\next2 = {\n}\next3 = {\n}\next4 = {\n}\nsmall = {\n}\nfloppy = {\n}\nbig = {\n}\nhuge = {\n}\n'

async function makeEmpty(entry: PartitionEntry, superblock: Superblock, job: FilesystemJob): Promise<void> {
  const { blockBytes, blocks, inodes } = superblock
  const { filesystem = '', uuid = '', label = '', startSector } = entry
  await writeFile(join(job.folder, 'mke2fs.conf'), configuration)
  const extended = [
    `offset=${startSector * sectorBytes}`,
    `hash_seed=${uuid}`,
    'root_owner=0:0',
    'nodiscard',
    'lazy_itable_init=0',
  ]
  const words = [
    ...[
      '-q',
      '-F',
      '-t',
      filesystem,
      '-O',
      `none,${featuresOf[filesystem as keyof typeof featuresOf]}`,
      '-b',
      `${blockBytes}`,
      '-I',
      '256',
    ],
    ...[
      '-N',
      `${inodes}`,
      '-m',
      '0',
      '-U',
      uuid,
      ...(label === '' ? [] : ['-L', label]),
      '-E',
      extended.join(','),
    ],
    ...[relative(job.folder, job.disk), `${(blocks * blockBytes) / 1024}k`],
  ]
  await runTool('mke2fs', words, job)
}

/** Requests for the superblock: settings without an exact mke2fs option, and fields that count writes. */
function lastRequests({ reservedBlocks }: Superblock): readonly Request[] {
  return [`set_super_value r_blocks_count ${reservedBlocks}`, 'set_super_value kbytes_written 0'].map(
    (line) => ({ line: Buffer.from(line) }),
  )
}

async function requireSound(place: string, { number }: PartitionEntry, job: FilesystemJob): Promise<void> {
  await runTool(
    'e2fsck',
    ['-f', '-n', place],
    job,
    `the filesystem made for partition ${number} is not sound`,
  )
}
