/** Archives that images come in. */

import { createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { execa } from 'execa'
import { exitCodes, messageOf, PipelineError } from '../errors.ts'
import { findProgram } from '../host/tools.ts'
import { requireFile } from './disk-source.ts'
import { unreadableDisk } from './unreadable.ts'

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
  { magic: 'PK\u0003\u0004', programs: [['unzip', '-p']] },
]

/**
 * The file itself, or its unpacked copy.
 * @throws PipelineError `tools` if there is no program for it
 */
export async function unpackArchive(file: string, folder: string, signal: AbortSignal): Promise<string> {
  const head = await readHead(file)
  const kind = unpackers.find(({ magic }) => head.startsWith(magic))
  if (kind === undefined) return file
  for (const [program = '', ...words] of kind.programs) {
    if ((await findProgram(program)) === undefined) continue
    const unpacked = join(folder, basename(file, extname(file)))
    const child = execa(program, [...words, file], { cancelSignal: signal, buffer: false, stdin: 'ignore' })
    await Promise.all([pipeline(child.stdout, createWriteStream(unpacked), { signal }), child])
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

async function readHead(file: string): Promise<string> {
  await requireFile(file)
  const handle = await open(file, 'r').catch((cause) => {
    throw unreadableDisk(`cannot read the disk ${file}: ${messageOf(cause)}`, cause)
  })
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.toString('latin1', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
