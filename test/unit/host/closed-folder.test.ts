/** Who can write in an output folder decides what is in the images. */

import { chmodSync, chownSync, lchownSync, mkdirSync, symlinkSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import { outFolderAt, requireOwnFolders } from '../../../src/host/out-folder.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const use = () => requireOwnFolders(outFolderAt(path('out')))
const refusal = (named: string, why: string) => ({
  code: 'out-open',
  message: expect.stringMatching(`^${named} .*${why}`),
})

beforeEach(() => mkdirSync(path('out', 'cache'), { recursive: true }))

it('is not used if everyone can write in it, even if everyone may only remove what is their own', async () => {
  for (const mode of [0o777, 0o1777, 0o703]) {
    chmodSync(path('out'), mode)
    await expect(use()).rejects.toMatchObject(refusal(path('out'), 'everyone'))
  }
})

it('is not used if everyone can write in a folder of it', async () => {
  chmodSync(path('out', 'cache'), 0o777)
  await expect(use()).rejects.toMatchObject(refusal(path('out', 'cache'), 'everyone'))
})

it('is not used through a link if everyone can write where it leads', async () => {
  symlinkSync(path('out'), path('link'))
  chmodSync(path('out'), 0o777)
  const through = requireOwnFolders(outFolderAt(path('link')))
  await expect(through).rejects.toMatchObject(refusal(path('out'), 'everyone'))
})

it('is used if a group can write in it, as its owner has decided', async () => {
  chmodSync(path('out'), 0o2775)
  await use()
})

// Skipped unless run by root: nobody else may give a folder away.
describe.skipIf(process.getuid?.() !== 0)('the owner (skipped unless run by root, who can change it)', () => {
  const stranger = 4_000_001

  it('is the user, root, or whoever owns the folder around it; no one else', async () => {
    chownSync(path('out'), stranger, 0)
    await expect(use()).rejects.toMatchObject(refusal(path('out'), `uid ${stranger}`))
    chownSync(path(), stranger, 0)
    await use()
  })

  it('of a link to it counts as well', async () => {
    symlinkSync(path('out'), path('link'))
    lchownSync(path('link'), stranger, 0)
    const through = requireOwnFolders(outFolderAt(path('link')))
    await expect(through).rejects.toMatchObject(refusal(path('link'), `uid ${stranger}`))
  })
})
