/** Files of `out/` that are links are replaced: what they lead to stays as it is. */

import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
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
