/** Archives that images come in. */

import { createWriteStream } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { boundBytes } from '../host/bound-bytes.ts'
import { isNoSpace } from '../host/failures.ts'
import { openToRead } from '../host/regular-file.ts'
import { findProgram } from '../host/tools.ts'
import { noRoomFor } from './no-room.ts'
import { requireFile, unreadableDisk } from './unreadable.ts'

const zipMagic = 'PK\u0003\u0004'

/** Programs that unpack an archive to standard output, best first, by the archive's first bytes. */
const unpackers: readonly { readonly magic: string; readonly programs: readonly (readonly string[])[] }[] = [
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
  },
  { magic: '\u00fd7zXZ\0', programs: [['xz', '-dc']] },
  { magic: '\u0028\u00b5\u002f\u00fd', programs: [['zstd', '-dcq', '--long=31']] },
  // Without a password, it would ask for one on the terminal.
  { magic: zipMagic, programs: [['unzip', '-P', 'none', '-p']] },
]

/** Of what an archive unpacks to: more than any disk of a system VM. */
const maximumBytes = 64 * 1024 ** 3

/** Of the names in a zip file. */
const listingBytes = 1024 ** 2

/**
 * The file itself, or its unpacked copy.
 * @param most bytes that it may unpack to
 * @throws PipelineError `tools` if there is no program for it, `disk-unreadable`, `no-space`
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
  if (kind.magic === zipMagic) await requireOneMember(file, signal)
  for (const [program = '', ...words] of kind.programs) {
    if ((await findProgram(program)) === undefined) continue
    const unpacked = join(folder, basename(file, extname(file)))
    const child = execa(program, [...words, file], { cancelSignal: signal, buffer: false, stdin: 'ignore' })
    // Its failure shows below.
    child.catch(() => undefined)
    const bounded = (chunks: AsyncIterable<Uint8Array>) =>
      boundBytes(chunks, most, () => tooLarge(file, most))
    try {
      await pipeline(child.stdout, bounded, createWriteStream(unpacked), { signal })
      await child
    } catch (cause) {
      signal.throwIfAborted()
      if (cause instanceof PipelineError) throw cause
      if (isNoSpace(cause)) throw noRoomFor(unpacked, cause)
      throw unreadableDisk(`cannot unpack ${file}: ${messageOf(cause)}`, cause)
    } finally {
      child.kill()
    }
    return unpacked
  }
  const names = kind.programs.map(([name]) => name).join(' or ')
  throw new PipelineError({
    code: 'tools',
    message: `${file} is an archive, and this host has no ${names} to unpack it`,
    hint: 'install it with: npm run setup',
    exitCode: exitCodes.hostNotFit,
  })
}

// --- internal ---

function tooLarge(file: string, most: number): PipelineError {
  return unreadableDisk(
    `${file} unpacks to more than ${most} bytes`,
    undefined,
    'if you trust it, unpack it yourself and give the disk.',
  )
}

/** `unzip -p` writes all members one after the other. */
async function requireOneMember(file: string, signal: AbortSignal): Promise<void> {
  const { stdout, failed, shortMessage } = await execa('unzip', ['-Z1', file], {
    reject: false,
    cancelSignal: signal,
    stdin: 'ignore',
    maxBuffer: listingBytes,
    timeout: 60_000,
  })
  // Without unzip, the error about missing programs says more.
  if (failed && /ENOENT/.test(shortMessage ?? '')) return
  if (failed) throw unreadableDisk(`cannot unpack ${file}: it is damaged or cut short`, shortMessage)
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
