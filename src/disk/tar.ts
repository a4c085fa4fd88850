/**
 * Lists the files in a tar archive and their positions: an OVA is one, and its disk is read in place. Only headers are read.
 * Formats: POSIX ustar and pax, and GNU's. The tar readers on npm stream all content and report no positions; tar-stream even
 * accepts a negative size.
 */

import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { openToRead } from '../host/regular-file.ts'
import type { Stretch } from './block-node.ts'
import { readTarHeader, type TarHeader, tarBlockBytes } from './tar-header.ts'
import { unreadableDisk } from './unreadable.ts'

/** A regular file in an archive. */
export interface TarMember extends Stretch {
  /** Without a leading `./`. */
  readonly name: string
}

/** Limit for headers, more than any OVA has. */
const maximumHeaders = 1000

/** Extension headers longer than this do not contain names. */
const maximumExtensionBytes = 1 << 20

/** The longest path on Linux; limited because names appear in messages. */
const maximumNameBytes = 4096

/** Descriptions and manifests have a few kB. */
const maximumTextBytes = 1 << 20

/**
 * Regular files, in order. Folders and symbolic links are omitted; a hard link counts as another name of its file.
 * @throws PipelineError `disk-unreadable` if the archive is damaged, truncated, or split
 */
export async function readTar(path: string, signal?: AbortSignal): Promise<readonly TarMember[]> {
  const file = await openToRead(path)
  try {
    const { size } = await file.stat()
    return await readMembers(file, size, signal)
  } catch (cause) {
    signal?.throwIfAborted()
    const said = (cause as Error).message
    throw unreadableDisk(`cannot read the tar archive ${path}: ${said}`, cause)
  } finally {
    await file.close()
  }
}

/** The text of a small member. @throws PipelineError `disk-unreadable` if it is large */
export async function readMember(path: string, { offset, sizeBytes }: Stretch): Promise<string> {
  if (sizeBytes > maximumTextBytes) {
    throw unreadableDisk(`cannot read the tar archive ${path}: a text in it has ${sizeBytes} bytes`)
  }
  const file = await openToRead(path)
  try {
    return (await readAt(file, offset, sizeBytes)).toString()
  } finally {
    await file.close()
  }
}

/** Digest of a member, in hex. */
export async function hashMember(
  path: string,
  { offset, sizeBytes }: Stretch,
  algorithm: string,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm)
  if (sizeBytes === 0) return hash.digest('hex')
  const part = { start: offset, end: offset + sizeBytes - 1, highWaterMark: 1 << 20 }
  await pipeline((await openToRead(path)).createReadStream(part), hash, { signal })
  return hash.digest('hex')
}

// --- internal ---

/** Values from extension headers for the next entry. */
type Extension = Partial<Pick<TarHeader, 'name' | 'target' | 'sizeBytes'>>

async function readMembers(
  file: FileHandle,
  archiveBytes: number,
  signal: AbortSignal | undefined,
): Promise<readonly TarMember[]> {
  const members: TarMember[] = []
  let extension: Extension = {}
  let offset = 0
  for (let headers = 0; offset < archiveBytes; headers += 1) {
    signal?.throwIfAborted()
    if (headers === maximumHeaders) throw new Error(`it has more than ${maximumHeaders} headers`)
    const header = readTarHeader(await readAt(file, offset, tarBlockBytes), offset)
    if (header === undefined) break
    const { kind } = header
    const sizeBytes = (kind === 'file' ? extension.sizeBytes : undefined) ?? header.sizeBytes
    const name = plainName(extension.name ?? header.name)
    const start = offset + tarBlockBytes
    if (start + sizeBytes > archiveBytes) {
      throw new Error(
        `it is truncated: ${name} ends ${start + sizeBytes - archiveBytes} bytes beyond its end`,
      )
    }
    offset = start + Math.ceil(sizeBytes / tarBlockBytes) * tarBlockBytes
    if (kind === 'global') await requireHarmless(file, header, start)
    if (kind === 'pax' || kind === 'long-name' || kind === 'long-target') {
      extension = { ...extension, ...(await readExtension(file, header, start)) }
      continue
    }
    if (kind === 'file') members.push({ name, offset: start, sizeBytes })
    if (kind === 'hard-link') {
      const target = plainName(extension.target ?? header.target)
      const same = members.find((member) => member.name === target)
      if (same === undefined) throw new Error(`${name} is a link to ${target}, which does not exist`)
      members.push({ ...same, name })
    }
    extension = {}
  }
  return members
}

/** Some readers use what it says of all files, and others do not: they would see different files. A comment is harmless. */
async function requireHarmless(file: FileHandle, header: TarHeader, start: number): Promise<void> {
  for (const key of parsePax(await readHeaderContent(file, header, start)).keys())
    if (/^(path|linkpath|size|GNU\.sparse\..*)$/.test(key))
      throw new Error(`it has a global header with the ${key} of all its files`)
}

async function readHeaderContent(file: FileHandle, { sizeBytes }: TarHeader, start: number): Promise<Buffer> {
  if (sizeBytes > maximumExtensionBytes) throw new Error(`a name in it has ${sizeBytes} bytes`)
  return readAt(file, start, sizeBytes)
}

async function readExtension(file: FileHandle, header: TarHeader, start: number): Promise<Extension> {
  const { kind } = header
  const content = await readHeaderContent(file, header, start)
  const text = content.toString().replace(/\0.*$/s, '')
  if (kind === 'long-name') return { name: requireShort(text) }
  if (kind === 'long-target') return { target: requireShort(text) }
  const records = parsePax(content)
  const sparse = [...records.keys()].find((key) => key.startsWith('GNU.sparse.'))
  if (sparse !== undefined) throw new Error('it has a sparse file, which cannot be read in place')
  const size = records.get('size')
  if (size !== undefined && !/^\d{1,15}$/.test(size))
    throw new Error(`it has a file of the size ${size.slice(0, 20)}`)
  const [name, target] = [records.get('path'), records.get('linkpath')]
  return {
    ...(name === undefined ? {} : { name: requireShort(name) }),
    ...(target === undefined ? {} : { target: requireShort(target) }),
    ...(size === undefined ? {} : { sizeBytes: Number(size) }),
  }
}

function requireShort(name: string): string {
  const bytes = Buffer.byteLength(name)
  if (bytes > maximumNameBytes) throw new Error(`a name in it has ${bytes} bytes`)
  return name
}

function plainName(name: string): string {
  return name.replace(/^(\.\/+)+/, '')
}

/** Records are `LENGTH KEY=VALUE\n`, with the length of the whole record in bytes. */
function parsePax(content: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>()
  for (let start = 0; start < content.length && content[start] !== 0; ) {
    const digits = /^\d+(?= )/.exec(content.toString('latin1', start, start + 10))?.[0] ?? ''
    const end = start + Number(digits)
    const [, key, value] =
      /^([^=]+)=(.*)\n$/s.exec(content.toString('utf8', start + digits.length + 1, end)) ?? []
    if (digits === '' || end > content.length || key === undefined || value === undefined) {
      throw new Error('it has a damaged pax header')
    }
    records.set(key, value)
    start = end
  }
  return records
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead < length) throw new Error(`it is truncated: it ends at byte ${position + bytesRead}`)
  return buffer
}
