import { writeFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import {
  debOf,
  indexFileOf,
  openPackageSet,
  releaseFileOf,
  renderSet,
  setFile,
} from '../../../src/debian/package-set.ts'
import { sha256 } from '../../../src/digest.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

it('a package set takes time in proportion to its packages', async () => {
  const packages = Array.from({ length: 300 }, (_, index) => ({
    ...{ name: `p${index}`, version: '1', architecture: 'amd64' },
    ...{ sha256: sha256(`${index}`), sizeBytes: `${index}`.length, url: 'http://deb.debian.org' },
  }))
  const archives = Array.from({ length: 50 }, (_, index) => ({
    ...{ suite: `s${index}`, url: 'http://deb.debian.org', architecture: 'amd64' },
    ...{ sha256: sha256(`release ${index}`), indexes: [sha256(`index ${index}`)] },
  }))
  writeFileSync(path(setFile), renderSet({ archives, packages }))
  for (const [index, one] of packages.entries()) writeFileSync(path(debOf(one)), `${index}`)
  for (const one of archives)
    for (const name of [releaseFileOf(one.sha256), ...one.indexes.map(indexFileOf)])
      writeFileSync(path(name), '')
  const includes = vi.spyOn(Array.prototype, 'includes')
  const set = await openPackageSet(path(), new AbortController().signal)
  const looked = includes.mock.contexts.reduce<number>((sum, list) => sum + (list as unknown[]).length, 0)
  includes.mockRestore()
  expect(set.content.packages).toHaveLength(300)
  expect(looked).toBeLessThan(10 * 300)
})
