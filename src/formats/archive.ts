/**
 * Compressed files that CloudStack accepts: `.bz2`, and `.zip` with one entry.
 *
 * lbzip2 and pigz do the work on all CPUs. Their output depends neither on the number of CPUs nor, unlike that of Node.js's
 * zlib, on the Node.js release. lbzip2 writes a single stream, like bzip2; pbzip2 writes many, of which Java's readers see
 * only the first. pigz's deflate stream goes into a zip file made here, because pigz's own would contain the current time.
 */

import { type FileHandle, open } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { awaitedLater } from '../host/awaited-later.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { openToRead } from '../host/regular-file.ts'
import { writeAt } from './file-bytes.ts'

/** Called with the share of the source read so far, from 0 to 1. */
export type OnProgress = (fraction: number) => void

/** Compresses `source` into `file`, then reads the result back. */
export async function writeBzip2(
  source: string,
  file: string,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  await compress(['lbzip2', '-9'], source, file, 0, onProgress, signal)
  await execa('lbzip2', ['--test', '--', file], {
    cancelSignal: signal,
    timeout: 3_600_000,
    ...bareEnvironment(),
  })
}

export interface ZipOptions {
  readonly entryName: string
  /** The entry's date: seconds since 1970. The zip format starts in 1980. */
  readonly timestampSeconds: number
}

/** Compresses `source` as the only entry of the zip file `file`. */
export async function writeZip(
  source: string,
  file: string,
  { entryName, timestampSeconds }: ZipOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const name = Buffer.from(entryName)
  // Level 9 takes four times as long to save half a percent.
  const start = localHeaderBytes + name.length - gzipHeaderBytes
  const { read, written } = await compress(
    ['pigz', '-6', '--no-name'],
    source,
    file,
    start,
    onProgress,
    signal,
  )
  const target = await open(file, 'r+')
  try {
    const gzip = await readGzip(target, start, written)
    const end = start + written - gzipTrailerBytes
    const entry: ZipEntry = {
      name,
      timestampSeconds,
      crc: gzip.crc,
      compressedBytes: written - gzipHeaderBytes - gzipTrailerBytes,
      sizeBytes: read,
    }
    if (gzip.sizeBytes !== read % 2 ** 32) throw new Error('pigz did not take all of its input')
    await target.truncate(end)
    const directory = encodeDirectoryEntry(entry)
    await writeAt(target, Buffer.concat([directory, encodeEnd(directory.length, end)]), end)
    // This also overwrites pigz's header.
    await writeAt(target, encodeLocalHeader(entry), 0)
  } finally {
    await target.close()
  }
}

/**
 * Runs a file through a compressor, and writes the output to `target` from `start`. Returns the numbers of bytes in and out.
 */
async function compress(
  [program, ...commandArguments]: readonly [string, ...string[]],
  source: string,
  target: string,
  start: number,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<{ readonly read: number; readonly written: number }> {
  const from = await openToRead(source)
  const { size } = await from.stat()
  let read = 0
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      read += chunk.length
      onProgress(size === 0 ? 1 : Math.min(1, read / size))
      done(null, chunk)
    },
  })
  const input = from
    .createReadStream({ highWaterMark: 1 << 20 })
    .once('error', (error) => meter.destroy(error))
  const into = await open(target, 'w')
  let written = 0
  try {
    const child = awaitedLater(
      execa(program, commandArguments, {
        input: input.pipe(meter),
        buffer: { stdout: false },
        cancelSignal: signal,
        ...bareEnvironment(),
        timeout: 3_600_000,
      }),
    )
    for await (const chunk of child.iterable({ binary: true })) {
      await writeAt(into, chunk, start + written)
      written += chunk.length
    }
    await child
    return { read, written }
  } finally {
    input.destroy()
    await into.close()
  }
}

/** Sizes before and after the deflate stream in a gzip file without a name. */
const gzipHeaderBytes = 10
const gzipTrailerBytes = 8

async function readGzip(
  file: FileHandle,
  start: number,
  length: number,
): Promise<{ readonly crc: number; readonly sizeBytes: number }> {
  const header = Buffer.alloc(gzipHeaderBytes)
  const trailer = Buffer.alloc(gzipTrailerBytes)
  await file.read(header, 0, header.length, start)
  await file.read(trailer, 0, trailer.length, start + length - trailer.length)
  // The method is deflate, and no flag announces more header fields.
  if (header.readUInt32BE(0) !== 0x1f8b_0800) throw new Error('pigz did not write a plain gzip file')
  return { crc: trailer.readUInt32LE(0), sizeBytes: trailer.readUInt32LE(4) }
}

interface ZipEntry {
  readonly name: Buffer
  readonly timestampSeconds: number
  readonly crc: number
  readonly compressedBytes: number
  readonly sizeBytes: number
}

/** In 32-bit fields: the value is in the 64-bit extra field. */
const inExtra = 0xffff_ffff

/** Always includes the extra field for 64-bit sizes, so the length is known in advance. */
const localHeaderBytes = 30 + 20

function encodeLocalHeader(entry: ZipEntry): Buffer {
  const fixed = Buffer.alloc(30)
  fixed.writeUInt32LE(0x0403_4b50, 0)
  encodeCommon(entry).copy(fixed, 4)
  fixed.writeUInt16LE(20, 28)
  return Buffer.concat([fixed, entry.name, encodeExtra(entry)])
}

function encodeDirectoryEntry(entry: ZipEntry): Buffer {
  const fixed = Buffer.alloc(46)
  fixed.writeUInt32LE(0x0201_4b50, 0)
  // The host system is Unix, so that the file mode below takes effect.
  fixed.writeUInt16LE(0x0300 | versionNeeded, 4)
  encodeCommon(entry).copy(fixed, 6)
  fixed.writeUInt16LE(20, 30)
  fixed.writeUInt32LE((0o100_644 << 16) >>> 0, 38)
  return Buffer.concat([fixed, entry.name, encodeExtra(entry)])
}

/** 4.5, the first version with 64-bit sizes. */
const versionNeeded = 45

/** The fields shared by both kinds of headers, from the version to the length of the name. */
function encodeCommon({ name, timestampSeconds, crc }: ZipEntry): Buffer {
  const common = Buffer.alloc(24)
  const { date, time } = dosTime(timestampSeconds)
  common.writeUInt16LE(versionNeeded, 0)
  // Flag for a UTF-8 name.
  common.writeUInt16LE(0x0800, 2)
  // Compression method: deflate.
  common.writeUInt16LE(8, 4)
  common.writeUInt16LE(time, 6)
  common.writeUInt16LE(date, 8)
  common.writeUInt32LE(crc, 10)
  common.writeUInt32LE(inExtra, 14)
  common.writeUInt32LE(inExtra, 18)
  common.writeUInt16LE(name.length, 22)
  return common
}

function encodeExtra({ sizeBytes, compressedBytes }: ZipEntry): Buffer {
  const extra = Buffer.alloc(20)
  extra.writeUInt16LE(0x0001, 0)
  extra.writeUInt16LE(16, 2)
  extra.writeBigUInt64LE(BigInt(sizeBytes), 4)
  extra.writeBigUInt64LE(BigInt(compressedBytes), 12)
  return extra
}

/** The end records of the zip file, first 64-bit and then 32-bit. */
function encodeEnd(directoryBytes: number, directoryOffset: number): Buffer {
  const end64 = Buffer.alloc(56)
  end64.writeUInt32LE(0x0606_4b50, 0)
  end64.writeBigUInt64LE(BigInt(end64.length - 12), 4)
  end64.writeUInt16LE(0x0300 | versionNeeded, 12)
  end64.writeUInt16LE(versionNeeded, 14)
  end64.writeBigUInt64LE(1n, 24)
  end64.writeBigUInt64LE(1n, 32)
  end64.writeBigUInt64LE(BigInt(directoryBytes), 40)
  end64.writeBigUInt64LE(BigInt(directoryOffset), 48)
  const locator = Buffer.alloc(20)
  locator.writeUInt32LE(0x0706_4b50, 0)
  locator.writeBigUInt64LE(BigInt(directoryOffset + directoryBytes), 8)
  locator.writeUInt32LE(1, 16)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x0605_4b50, 0)
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(directoryBytes, 12)
  end.writeUInt32LE(Math.min(directoryOffset, inExtra), 16)
  return Buffer.concat([end64, locator, end])
}

/** The resolution is two seconds. The format has no time zone; here it is UTC. */
function dosTime(timestampSeconds: number): { readonly date: number; readonly time: number } {
  const at = new Date(Math.max(timestampSeconds, Date.UTC(1980, 0) / 1000) * 1000)
  return {
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
  }
}
