import { writeFileSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { matchesPassword } from '../../../src/contract/crypt.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

/** Of "password". */
const hashes = {
  yescrypt: '$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC',
  'SHA-512': '$6$salt$IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy.g.',
}
const ofNobodyKnows = `$6$salt$${'A'.repeat(86)}`

it.each(Object.entries(hashes))('a password is found by its hash of %s', async (_kind, hash) => {
  expect(await matchesPassword(hash, ['', 'other', 'password'])).toBe('password')
  expect(await matchesPassword(hash, ['other', 'passwor', ''])).toBeUndefined()
})

it('a hash of something else, and one that no password opens, match nothing', async () => {
  expect(await matchesPassword(ofNobodyKnows, ['password', ''])).toBeUndefined()
  expect(await matchesPassword('!', ['password', ''])).toBeUndefined()
  expect(await matchesPassword(`!${hashes['SHA-512']}`, ['password'])).toBeUndefined()
  expect(await matchesPassword('*', ['*', ''])).toBeUndefined()
})

it('a hash that asks for hours of work is given up', async () => {
  const hours = `$6$rounds=999999999$salt$${'A'.repeat(86)}`
  await expect(matchesPassword(hours, ['password'])).rejects.toThrow('asks for too much')
})

it('a hash that asks for gigabytes of memory is opened by nothing', async () => {
  expect(await matchesPassword('$y$jGT$F5Jx5fExrKuPp53xLKQ..1$AAAA', ['password'])).toBeUndefined()
})

it('no password at all is one', async () => {
  expect(await matchesPassword('', ['password', ''])).toBe('')
  expect(await matchesPassword('', ['password'])).toBeUndefined()
})

it('a match is not decided by what the environment has Perl load', async () => {
  writeFileSync(path('Every.pm'), 'package Every; *CORE::GLOBAL::crypt = sub { $_[1] }; 1')
  vi.stubEnv('PERL5LIB', path())
  vi.stubEnv('PERL5OPT', '-MEvery')
  expect(await matchesPassword(hashes.yescrypt, ['other'])).toBeUndefined()
})
