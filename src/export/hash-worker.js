/**
 * Computes the checksums of one file in a separate thread, so that parallel exports continue. Plain JavaScript, because tests
 * start it where nothing is compiled.
 */

import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const { path, sizeBytes, extents, algorithms } = workerData
/** @type {readonly (readonly [string, import('node:crypto').Hash])[]} */
const hashes = algorithms.map((/** @type {string} */ algorithm) => [algorithm, createHash(algorithm)])
const buffer = Buffer.alloc(256 * 1024)
const zeros = Buffer.alloc(256 * 1024)

/** Interval between progress reports. */
const reportedBytes = 256 * 1024 * 1024
let done = 0

/** @param {Uint8Array} bytes */
function update(bytes) {
  for (const [, hash] of hashes) hash.update(bytes)
  const before = done
  done += bytes.length
  if (Math.floor(done / reportedBytes) > Math.floor(before / reportedBytes)) parentPort?.postMessage({ done })
}

/** Hashes zeros without reading them. @param {number} length */
function passZeros(length) {
  for (let left = length; left > 0; left -= zeros.length)
    update(zeros.subarray(0, Math.min(left, zeros.length)))
}

// A blocking open of a named pipe would wait for a writer.
const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
let position = 0
for (const { start, length } of extents) {
  passZeros(start - position)
  const end = Math.min(start + length, sizeBytes)
  for (position = start; position < end; ) {
    // Synchronous, because an asynchronous read would need one of Node.js's own threads, all of which may be compressing.
    const read = readSync(file, buffer, 0, Math.min(buffer.length, end - position), position)
    if (read === 0) throw new Error(`${path} has become shorter than its ${sizeBytes} bytes`)
    update(buffer.subarray(0, read))
    position += read
  }
}
passZeros(sizeBytes - position)
closeSync(file)
parentPort?.postMessage({
  checksums: Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')])),
})
