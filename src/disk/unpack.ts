/** Unpacks the archives that images come in. */

import { randomBytes } from 'node:crypto'
import { symlink } from 'node:fs/promises'
import { basename, extname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { awaitedLater } from '../host/awaited-later.ts'
import { bareEnvironment } from '../host/bare-environment.ts'
import { boundBytes } from '../host/bound-bytes.ts'
import { execa } from '../host/execa.ts'
import { isNoSpace } from '../host/failures.ts'
import { openToRead } from '../host/regular-file.ts'
import { findProgram } from '../host/tools.ts'
import { takesMoreMemory, unpackingMiB, xzLimit, zstdLimit } from '../host/unpacking.ts'
import { createWriteStream } from '../host/writing.ts'
import { reasonIn } from '../text.ts'
import { limitToRoom, noRoomFor, requireRoom } from './no-room.ts'
import { type SizeReader, sizeInGzip, sizeInXz, sizeInZip, sizeInZstd } from './unpacked-size.ts'
import { requireFile, unreadableDisk } from './unreadable.ts'

interface Unpacker {
  /** The archive's first bytes. */
  readonly magic: string
  /** Programs that unpack it to standard output, in order of preference. */
  readonly programs: readonly (readonly string[])[]
  readonly sizeIn?: SizeReader
}

const zipMagic = 'PK\u0003\u0004'

const unpackers: readonly Unpacker[] = [
  {
    magic: 'BZh',
    programs: [
      ['lbzip2', '-dc'],
      ['bzip2', '-dc'],
    ],
  },
  {
    magic: '\u001f\u008b',
    programs: [
      ['pigz', '-dc'],
      ['gzip', '-dc'],
    ],
    sizeIn: sizeInGzip,
  },
  { magic: '\u00fd7zXZ\0', programs: [['xz', '-dc', xzLimit]], sizeIn: sizeInXz },
  { magic: '\u0028\u00b5\u002f\u00fd', programs: [['zstd', '-dcq', zstdLimit]], sizeIn: sizeInZstd },
  // Without a password, unzip would ask for one on the terminal.
  { magic: zipMagic, programs: [['unzip', '-P', 'none', '-p']], sizeIn: sizeInZip },
]

/** Limit for the unpacked size: larger than any disk of a system VM. */
const maximumBytes = 64 * 1024 ** 3

/** Limit for the names in a zip file, and for a program's error output. */
const textBytes = 1024 ** 2

/**
 * The file itself, or its unpacked copy.
 * @param most limit for the unpacked bytes
 * @throws PipelineError `tools` if there is no program to unpack it, `disk-unreadable`, `no-space`
 */
export async function unpackArchive(
  file: string,
  folder: string,
  signal: AbortSignal,
  most = maximumBytes,
): Promise<string> {
  const head = await readHead(file)
  const kind = unpackers.find(({ magic }) => head.startsWith(magic))
  if (kind === undefined) return file
  const words = await findUnpacker(file, kind)
  const named = kind.magic === zipMagic ? await nameForUnzip(file, folder) : file
  if (kind.magic === zipMagic) await requireOneMember(file, named, signal)
  const size = (await kind.sizeIn?.(named, signal)) ?? 0
  if (size > most) throw tooLarge(file, most)
  await requireRoom(size, `the unpacked ${file}`)
  const unpacked = join(folder, basename(file, extname(file)))
  await runUnpacker([...words, named], file, unpacked, signal, most)
  return unpacked
}

/**
 * Runs an action on the file or on its unpacked copy. The user does not know the name of the copy, so errors name the
 * archive.
 */
export async function withUnpacked<Result>(
  file: string,
  folder: string,
  signal: AbortSignal,
  action: (plain: string) => Promise<Result>,
): Promise<Result> {
  const plain = await unpackArchive(file, folder, signal)
  return action(plain).catch((error: unknown) => {
    if (plain === file || !(error instanceof PipelineError)) throw error
    const message = error.message.replaceAll(plain, `${file} (unpacked)`)
    throw new PipelineError({ ...error, message, cause: error })
  })
}

// --- internal ---

/** @throws PipelineError `tools` */
async function findUnpacker(file: string, { programs }: Unpacker): Promise<readonly string[]> {
  for (const words of programs) if ((await findProgram(words[0] ?? '')) !== undefined) return words
  throw new PipelineError({
    code: 'tools',
    message: `${file} is an archive, and this host has no ${programs.map(([name]) => name).join(' or ')} to unpack it`,
    hint: 'install it with: npm run setup -- --yes',
    exitCode: exitCodes.hostNotFit,
  })
}

/** unzip treats a name as a pattern: given `a[1].zip`, it reads `a1.zip` if that exists. */
async function nameForUnzip(file: string, folder: string): Promise<string> {
  const named = join(folder, `archive-${randomBytes(6).toString('hex')}.zip`)
  await symlink(resolve(file), named)
  return named
}

/** @param file the name that the user knows */
async function runUnpacker(
  [program = '', ...words]: readonly string[],
  file: string,
  unpacked: string,
  signal: AbortSignal,
  most: number,
): Promise<void> {
  const room = await limitToRoom(`the unpacked ${file}`)
  const child = awaitedLater(
    execa(program, words, {
      cancelSignal: signal,
      buffer: { stdout: false },
      maxBuffer: { stderr: textBytes },
      stdin: 'ignore',
      ...bareEnvironment(),
    }),
  )
  const bounded = (chunks: AsyncIterable<Uint8Array>) =>
    boundBytes(chunks, Math.min(most, room.bytes), () =>
      room.bytes < most ? room.exceeded() : tooLarge(file, most),
    )
  try {
    await pipeline(child.stdout, bounded, createWriteStream(unpacked), { signal })
    await child
  } catch (cause) {
    signal.throwIfAborted()
    if (cause instanceof PipelineError) throw cause
    if (isNoSpace(cause)) throw await noRoomFor(`the unpacked ${file}`, cause)
    const { stderr = '' } = cause as { readonly stderr?: string }
    if (takesMoreMemory(stderr))
      throw unreadableDisk(
        `cannot unpack ${file}: it takes more memory than ${unpackingMiB} MiB`,
        undefined,
        'if you trust it, unpack it yourself (for zstd, with --long=31) and give the disk.',
      )
    const reason = (reasonIn(stderr) || messageOf(cause)).replaceAll(words.at(-1) ?? '', file)
    throw unreadableDisk(`cannot unpack ${file}: ${reason}`, cause)
  } finally {
    child.kill()
  }
}

function tooLarge(file: string, most: number): PipelineError {
  return unreadableDisk(
    `${file} unpacks to more than ${most} bytes`,
    undefined,
    'if you trust it, unpack it yourself and give the disk.',
  )
}

/** `unzip -p` writes all members in sequence. */
async function requireOneMember(file: string, named: string, signal: AbortSignal): Promise<void> {
  const { stdout, failed, shortMessage } = await execa('unzip', ['-Z1', named], {
    reject: false,
    cancelSignal: signal,
    stdin: 'ignore',
    maxBuffer: textBytes,
    ...bareEnvironment(),
    timeout: 60_000,
  })
  if (failed) throw unreadableDisk(`cannot unpack ${file}: it is damaged or truncated`, shortMessage)
  const names = stdout.split('\n')
  if (names.length === 1) return
  throw unreadableDisk(
    `cannot unpack ${file}: it has ${names.length} files in it instead of one disk`,
    undefined,
    'unpack it, and give the disk.',
  )
}

async function readHead(file: string): Promise<string> {
  await requireFile(file)
  const handle = await openToRead(file).catch((cause) => {
    throw unreadableDisk(`cannot read the disk ${file}: ${messageOf(cause)}`, cause)
  })
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
