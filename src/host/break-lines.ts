/** Limits the lines of a program's output. */

import { Transform } from 'node:stream'

/** A program may print without ever ending its line: what is longer than this many bytes becomes several lines. */
export function breakLines(mostBytes: number): Transform {
  let length = 0
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const end = Math.max(chunk.lastIndexOf('\n'), chunk.lastIndexOf('\r'))
      length = end === -1 ? length + chunk.length : chunk.length - end - 1
      const isLong = length > mostBytes
      if (isLong) length = 0
      done(null, isLong ? Buffer.concat([chunk, Buffer.from('\n')]) : chunk)
    },
  })
}
