/** Files of `out/` that are links are replaced: what they lead to stays as it is. Nor can everyone change what is made there. */

import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { markOutput } from '../../../src/host/out-folder.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'

const path = useFolder()
useOutput()
const render = () => main(['render', '--variant', 'trixie-x86_64', '--out', path('out')])

beforeEach(() => {
  mkdirSync(path('out', 'render'), { recursive: true })
  writeFileSync(path('of-others'), 'mine')
})

it('marks the folder without writing through a link', async () => {
  symlinkSync(path('of-others'), path('out', '.systemvm-image'))
  await markOutput(path('out'))
  expect(lstatSync(path('out', '.systemvm-image')).isFile()).toBe(true)
  expect(readFileSync(path('of-others'), 'utf8')).toBe('mine')
})

it('renders without writing through a link', async () => {
  mkdirSync(path('out', 'render', 'trixie-x86_64'))
  symlinkSync(path('of-others'), path('out', 'render', 'trixie-x86_64', 'installer.pkr.hcl'))
  expect(await render()).toBe(0)
  expect(lstatSync(path('out', 'render', 'trixie-x86_64', 'installer.pkr.hcl')).isFile()).toBe(true)
  expect(readFileSync(path('of-others'), 'utf8')).toBe('mine')
})

it('renders nothing into a folder that is a link', async () => {
  mkdirSync(path('others'))
  writeFileSync(path('others', 'installer.pkr.hcl'), 'mine')
  symlinkSync(path('others'), path('out', 'render', 'trixie-x86_64'))
  expect(await render()).toBe(2)
  expect(readFileSync(path('others', 'installer.pkr.hcl'), 'utf8')).toBe('mine')
})

it('makes nothing that everyone can write to, even where the user lets everyone', () => {
  const program = fileURLToPath(new URL('../../../bin/systemvm-image.js', import.meta.url))
  const words = ['render', '--variant', 'trixie-x86_64', '--out', path('made')]
  const lax = ['-c', 'umask 000; exec "$@"', 'sh']
  execFileSync('sh', [...lax, process.execPath, program, ...words], { timeout: 300_000 })
  const made = ['', 'render', 'render/trixie-x86_64/installer.pkr.hcl'].map((name) => path('made', name))
  expect(made.map((file) => statSync(file).mode & 0o022)).toEqual(made.map(() => 0o020))
})
