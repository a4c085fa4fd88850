/** The lock of npm packages: each has the digest of its content, without which npm takes whatever the registry sends. */

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

interface LockEntry {
  readonly integrity?: string
  readonly link?: boolean
  readonly inBundle?: boolean
}

it('has an integrity for every package', () => {
  const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockEntry>>
  }
  const without = Object.entries(lock.packages).filter(
    ([path, { integrity = '', link, inBundle }]) =>
      path !== '' && !link && !inBundle && !/^sha512-[\w+/]{86}==$/.test(integrity),
  )
  expect(without.map(([path]) => path)).toEqual([])
})
