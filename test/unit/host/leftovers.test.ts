/** Files of a person are replaced, and what a killed run left beside them goes. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { replaceDurably } from '../../../src/host/files.ts'
import { useFolder } from '../../support/folder.ts'
import { useOutput } from '../../support/output.ts'

const path = useFolder()
const text = useOutput()

// Larger than any pid on Linux.
const ofDead = `${2 ** 22 + 1}-0badcafe.tmp`
const others = [`file.${process.pid}-0badcafe.tmp`, `file2.${ofDead}`, 'file.tmp', 'file.1-2.tmp', 'file.old']

it('a file takes with it what was left of it, and nothing else', async () => {
  for (const name of ['file', `file.${ofDead}`, ...others]) writeFileSync(path(name), 'before')
  mkdirSync(path(`file.${2 ** 22 + 2}-0badcafe.tmp`))
  await replaceDurably(path('file'), 'after')
  expect(readdirSync(path()).sort()).toEqual(['file', ...others].sort())
  expect(readFileSync(path('file'), 'utf8')).toBe('after')
})

it('a page is such a file', async () => {
  const report = new URL('../../fixtures/reports/succeeded.json', import.meta.url).pathname
  writeFileSync(path(`page.html.${ofDead}`), '')
  expect(await main(['report', report, '--to', path('page.html')]), text.stderr).toBe(0)
  expect(readdirSync(dirname(path('page.html')))).toEqual(['page.html'])
})
