import { describe, expect, it } from 'vitest'
import { decodeName, encodeName } from '../../../src/disk/names.ts'

describe('a name', () => {
  it.each([
    ['in ASCII', Buffer.from('usr')],
    ['in UTF-8', Buffer.from('Főtanúsítvány 🙂')],
    ['in Latin-1', Buffer.from([0x66, 0xfc, 0x72])],
    ['half in UTF-8', Buffer.concat([Buffer.from('é'), Buffer.from([0xff, 0x2f, 0x80])])],
    ['of nothing', Buffer.alloc(0)],
  ])('%s has the same bytes again', (_case, bytes) => {
    expect(encodeName(decodeName(bytes))).toEqual(bytes)
  })
})
