/**
 * Computes several sums of one file in a thread of its own, so that exports beside it go on. Plain JavaScript, since a
 * thread starts without the loader that reads TypeScript.
 */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'

const { file, algorithms } = workerData
const hashes = algorithms.map((algorithm) => [algorithm, createHash(algorithm)])
for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
  for (const [, hash] of hashes) hash.update(chunk)
}
parentPort.postMessage(Object.fromEntries(hashes.map(([algorithm, hash]) => [algorithm, hash.digest('hex')])))
