import { describe, expect, it } from 'vitest'
import { splitAnswers } from '../../../src/qemu/answer-lines.ts'

/** The lines of some pieces, and the errors. */
function split(pieces: readonly string[], mostBytes: number) {
  const lines: string[] = []
  const floods: string[] = []
  const take = splitAnswers((line) => lines.push(line.toString()), {
    ...{ port: 'a port', mostBytes },
    onFlood: ({ message }) => floods.push(message),
  })
  for (const piece of pieces) take(Buffer.from(piece))
  return { lines, floods }
}

describe('answers of a guest', () => {
  it('are the same lines, however they are cut', () => {
    const text = 'one\n\ntwo é\nthree\nrest'
    const lines = ['one', '', 'two é', 'three']
    expect(split([text], 100)).toEqual({ lines, floods: [] })
    expect(split([...text], 100)).toEqual({ lines, floods: [] })
    expect(split(['one\n', '\ntwo', ' é\nthr', 'ee\nre', 'st'], 100)).toEqual({ lines, floods: [] })
  })

  it('are refused once from the first line that is too long, with or without an end', () => {
    const floods = ['the guest floods a port: one answer has more than 1 KiB']
    const long = 'x'.repeat(1025)
    for (const pieces of [[`a\n${long}`], [`a\n${long}\nb\n`], ['a\n', ...long, 'b\n', long]])
      expect(split(pieces, 1024)).toEqual({ lines: ['a'], floods })
    expect(split([`${'x'.repeat(1024)}\n`], 1024).floods).toEqual([])
  })
})
