import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { afterEach, expect, it, vi } from 'vitest'
import { provideSource } from '../../../src/stage-files/provide-source.ts'
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

it('a tarball is unpacked as it was when it was checked, although another one takes its place', async () => {
  for (const name of ['good', 'evil']) {
    mkdirSync(path(name))
    writeFileSync(path(name, 'file'), name)
    execFileSync('tar', ['-cf', path(`${name}.tar`), '-C', path(name), 'file'])
  }
  const sha512 = createHash('sha512')
    .update(readFileSync(path('good.tar')))
    .digest('hex')
  const tar = execFileSync('sh', ['-c', 'command -v tar'], { encoding: 'utf8' }).trim()
  mkdirSync(path('bin'))
  const swap = `cp ${path('evil.tar')} ${path('good.tar')}`
  writeFileSync(path('bin', 'tar'), `#!/bin/sh\n${swap}\nexec ${tar} "$@"\n`)
  chmodSync(path('bin', 'tar'), 0o755)
  vi.stubEnv('PATH', `${path('bin')}${delimiter}${process.env.PATH}`)
  const form = { kind: 'tree', top: undefined, sourceDateEpoch: 0 } as const
  const source = `${path('good.tar')}#sha512=${sha512}`
  const folder = await provideSource(source, form, path('cache'), 'download', undefined)
  expect(readFileSync(join(folder ?? '', 'file'), 'utf8')).toBe('good')
})
