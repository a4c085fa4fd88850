import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'
import { unpackTarball } from '../../../src/stage-files/tarball.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
afterEach(() => vi.unstubAllEnvs())

it('a tarball is unpacked as it is, whatever options of tar and xz are in the environment', async () => {
  mkdirSync(path('in'))
  for (const name of ['one', 'two']) writeFileSync(path('in', name), name)
  execFileSync('tar', ['-cJf', path('a.tar.xz'), '-C', path('in'), 'one', 'two'])
  mkdirSync(path('unpacked'))
  vi.stubEnv('TAR_OPTIONS', '--exclude=two --transform=s,one,three,')
  vi.stubEnv('XZ_OPT', '--no-such-option')
  expect(await unpackTarball(path('a.tar.xz'), path('unpacked'))).toBeUndefined()
  expect(readdirSync(path('unpacked'))).toEqual(['one', 'two'])
})
