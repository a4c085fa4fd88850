/** A folder that a web server serves, or that is mounted from one. */

import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, open, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { flush, makeFolder } from '../host/files.ts'
import { sha256File } from '../host/hash-file.ts'
import { NotReadable, openToRead, readRegularText } from '../host/regular-file.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import { namePath } from '../host/writing.ts'
import {
  changedMeanwhile,
  type Destination,
  mostTextBytes,
  type OnBytes,
  type SentFile,
} from './destination.ts'

const chunkBytes = 4 * 1024 ** 2

/** @param folder of the release's series; created on first use */
export function folderDestination(folder: string): Destination {
  return {
    label: folder,
    async compare({ name, sizeBytes, sha256 }, signal) {
      const path = join(folder, name)
      await requireFree(folder, name)
      const found = await unlessMissing(path, () => stat(path))
      if (found === undefined) return 'nothing'
      if (found.size !== sizeBytes) return 'another'
      return (await sha256File(path, signal)) === sha256 ? 'the same' : 'another'
    },
    async readText(name) {
      await requireFree(folder, name)
      return unlessMissing(join(folder, name), () =>
        readRegularText(join(folder, name), mostTextBytes).catch((cause: unknown) => {
          throw cause instanceof NotReadable ? inTheWay(join(folder, name), cause.message) : cause
        }),
      )
    },
    async put(file, onBytes, signal) {
      const path = join(folder, file.name)
      await requireFree(folder, file.name)
      await makeFolder(dirname(path))
      await copyOn(file, `${path}.part`, onBytes, signal).catch(namePath(path))
      await rename(`${path}.part`, path)
      await flush(dirname(path))
    },
    async remove(name) {
      await requireFree(folder, name)
      await rm(join(folder, name), { force: true })
    },
  }
}

// --- internal ---

/**
 * Requires that a file can be put there: what is there already may be a file, or a link in place of one.
 * @throws PipelineError `published-already` for a folder, since nobody has published its content, and for a link to a folder
 */
async function requireFree(folder: string, name: string): Promise<void> {
  const path = join(folder, name)
  for (const one of [path, `${path}.part`]) {
    const found = await unlessMissing(one, () => stat(one))
    if (found !== undefined && !found.isFile()) throw inTheWay(one, 'it is not a file')
  }
  for (const above of new Set([folder, dirname(path)])) {
    const found = await unlessMissing(above, () => lstat(above))
    if (found !== undefined && !found.isDirectory()) throw inTheWay(above, 'it is not a folder of its own')
  }
}

function inTheWay(path: string, why: string): PipelineError {
  return new PipelineError({
    code: 'published-already',
    message: `${path} is in the way: ${why}`,
    hint: 'move it away, or publish elsewhere. Nothing was changed there.',
    exitCode: exitCodes.badInput,
  })
}

/**
 * Completes a partial copy. Reads what it already has again, since nothing else tells whether it is the beginning of the
 * file.
 * @throws PipelineError `changed-meanwhile` if the whole is not the file that was compared
 */
async function copyOn(
  { path, sizeBytes, sha256, name }: SentFile,
  partial: string,
  onBytes: OnBytes,
  signal: AbortSignal,
): Promise<void> {
  const found = await lstat(partial).catch(() => undefined)
  // A link, or a file that is not our copy: nothing is written to its target.
  const isOurs = found?.isFile() === true && found.nlink === 1 && found.size <= sizeBytes
  if (found !== undefined && !isOurs) await rm(partial)
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants
  const from = await openToRead(path)
  const to = await open(partial, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644)
  try {
    const hash = createHash('sha256')
    const there = isOurs ? await readBeginning(from, to, found.size, hash, signal) : 0
    await to.truncate(there)
    onBytes(there, 0)
    for (let done = there; done < sizeBytes; ) {
      signal.throwIfAborted()
      const chunk = await readAt(from, done, Math.min(chunkBytes, sizeBytes - done))
      if (chunk.length === 0) break
      const { bytesWritten } = await to.write(chunk, 0, chunk.length, done)
      hash.update(chunk.subarray(0, bytesWritten))
      done += bytesWritten
      onBytes(done, done - there)
    }
    if (hash.digest('hex') !== sha256) throw changedMeanwhile(name)
    await to.sync()
  } finally {
    await Promise.all([from.close(), to.close()])
  }
}

/** How many bytes of a partial copy match the file; hashes them. */
async function readBeginning(
  from: FileHandle,
  partial: FileHandle,
  size: number,
  hash: ReturnType<typeof createHash>,
  signal: AbortSignal,
): Promise<number> {
  for (let done = 0; ; ) {
    signal.throwIfAborted()
    const length = Math.min(chunkBytes, size - done)
    if (length === 0) return done
    const [one, other] = await Promise.all([readAt(from, done, length), readAt(partial, done, length)])
    if (!one.equals(other)) return done
    hash.update(other)
    done += length
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, position)
  return buffer.subarray(0, bytesRead)
}
