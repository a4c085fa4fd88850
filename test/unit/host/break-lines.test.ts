import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { breakLines } from '../../../src/host/break-lines.ts'

const linesOf = async (pieces: readonly string[]): Promise<readonly string[]> => {
  const lines: string[] = []
  const input = Readable.from(pieces.map((piece) => Buffer.from(piece))).pipe(breakLines(10))
  const reader = createInterface({ input }).on('line', (line) => lines.push(line))
  await once(reader, 'close')
  return lines
}

it('a line that never ends arrives in parts, and others stay as they are', async () => {
  expect(await linesOf(['one\ntwo', ' 2\r\n', 'three'])).toEqual(['one', 'two 2', 'three'])
  expect(await linesOf(['1234567\n1234567', '\n', '12345678\r9'])).toEqual([
    ...['1234567', '1234567', '12345678', '9'],
  ])
  expect(await linesOf(Array.from({ length: 8 }, () => 'xxxx'))).toEqual([
    ...['x'.repeat(12), 'x'.repeat(12), 'x'.repeat(8)],
  ])
})
