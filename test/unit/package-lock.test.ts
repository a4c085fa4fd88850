/** The npm packages: what their lock guarantees, and that every npm can read it. */

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

interface LockEntry {
  readonly integrity?: string
  readonly link?: boolean
  readonly inBundle?: boolean
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'))

// Without one, npm takes whatever the registry sends.
it('has an integrity for every package', () => {
  const lock = read('package-lock.json') as { readonly packages: Readonly<Record<string, LockEntry>> }
  const without = Object.entries(lock.packages).filter(
    ([path, { integrity = '', link, inBundle }]) =>
      path !== '' && !link && !inBundle && !/^sha512-[\w+/]{86}==$/.test(integrity),
  )
  expect(without.map(([path]) => path)).toEqual([])
})

// npm 9.2, which Debian 12 and 13 have, finds no lock at all where an override is anything else.
it('overrides versions with nothing but versions', () => {
  type Overrides = { readonly [name: string]: string | Overrides }
  const valuesOf = (overrides: Overrides): readonly string[] =>
    Object.values(overrides).flatMap((value) => (typeof value === 'string' ? value : valuesOf(value)))
  const { overrides } = read('package.json') as { readonly overrides: Overrides }
  expect(valuesOf(overrides).filter((value) => !/^\d+\.\d+\.\d+$/.test(value))).toEqual([])
})
