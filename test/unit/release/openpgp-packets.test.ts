import { expect, it } from 'vitest'
import { dearmor, isOnlySignatures } from '../../../src/release/openpgp-packets.ts'

const body = Buffer.alloc(10, 4)
const long = Buffer.alloc(300, 4)

it.each([
  ['of the old form', [0x88, 10, ...body], true],
  ['of the old form, with two bytes of length', [0x89, 1, 44, ...long], true],
  ['of the old form, with four', [0x8a, 0, 0, 1, 44, ...long], true],
  ['of the new form', [0xc2, 10, ...body], true],
  ['of the new form, with two bytes of length', [0xc2, 192, 108, ...long], true],
  ['of the new form, with four', [0xc2, 255, 0, 0, 1, 44, ...long], true],
  ['twice', [0x88, 10, ...body, 0xc2, 10, ...body], true],
  ['cut short', [0x88, 11, ...body], false],
  ['cut within its length', [0x8a, 0, 0], false],
  ['without a length', [0x8b, ...body], false],
  ['in parts', [0xc2, 0xe1, ...body], false],
  ['followed by a text', [0x88, 10, ...body, 0x41], false],
  ['beside packed data', [0x88, 10, ...body, 0xa3, 1, ...body], false],
  ['that is packed data', [0xc8, 10, ...body], false],
  ['that is none', [], false],
])('a signature %s', (_what, bytes, is) => {
  expect(isOnlySignatures(Buffer.from(bytes))).toBe(is)
})

it('armored blocks are one after the other', () => {
  const block = (text: string) =>
    `-----BEGIN PGP SIGNATURE-----\r\nComment: x\r\n\r\n${Buffer.from(text).toString('base64')}\r\n=abcd\r\n-----END PGP SIGNATURE-----\n`
  const file = Buffer.from(`before\n${block('one')}between\n${block('two')}`)
  expect(dearmor(file, 'SIGNATURE').toString()).toBe('onetwo')
  expect(dearmor(file, 'PUBLIC KEY BLOCK')).toBe(file)
})
