import { closeSync, existsSync, openSync, readFileSync, utimesSync, writeFileSync, writeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { openKnownDigests } from '../../../src/store/known-digests.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

describe('a digest that is known', () => {
  const known = () => openKnownDigests(path('digests.json'))

  it('is that of the bytes, and is there for the next program too', async () => {
    writeFileSync(path('disk'), 'one')
    expect(await known().of(path('disk'))).toBe(sha256('one'))
    expect(readFileSync(path('digests.json'), 'utf8')).toContain(sha256('one'))
    expect(await known().of(path('disk'))).toBe(sha256('one'))
  })

  it('is not asked of the file again while nobody has touched it', async () => {
    writeFileSync(path('disk'), 'one')
    await known().learn(path('disk'), sha256('another'))
    expect(await known().of(path('disk'))).toBe(sha256('another'))
  })

  it('is found anew when a byte was changed in place and the time of it hidden', async () => {
    writeFileSync(path('disk'), 'one')
    await known().of(path('disk'))
    const file = openSync(path('disk'), 'r+')
    writeSync(file, 'x', 1)
    closeSync(file)
    utimesSync(path('disk'), 1, 1)
    expect(await known().of(path('disk'))).toBe(sha256('oxe'))
    utimesSync(path('disk'), 1, 1)
    expect(await known().of(path('disk'))).toBe(sha256('oxe'))
  })

  it('survives a list of digests that is torn', async () => {
    writeFileSync(path('disk'), 'one')
    writeFileSync(path('digests.json'), '{"disk": {"touc')
    expect(await known().of(path('disk'))).toBe(sha256('one'))
    expect(existsSync(path('digests.json'))).toBe(true)
  })
})
