/** Links, and copies across filesystems. */

import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { copyLarge, linkOrCopy } from '../../../src/host/files.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const memory = '/dev/shm'
const isElsewhere = statSync(memory, { throwIfNoEntry: false })?.dev !== statSync('/tmp').dev

describe('a link or a copy', () => {
  it('is a link on the same filesystem', async () => {
    writeFileSync(path('file'), 'content')
    await linkOrCopy(path('file'), path('other'), undefined)
    expect(statSync(path('other')).ino).toBe(statSync(path('file')).ino)
  })

  it('is one of the file itself where only a symbolic link to it is named', async () => {
    writeFileSync(path('file'), 'content')
    symlinkSync('file', path('symbolic'))
    await linkOrCopy(path('symbolic'), path('other'), undefined)
    expect(lstatSync(path('other')).isFile()).toBe(true)
  })

  it('is neither of a pipe, which would be waited for', async () => {
    execFileSync('mkfifo', [path('pipe')])
    await expect(copyLarge(path('pipe'), path('other'), undefined)).rejects.toThrow('is not a file')
    expect(existsSync(path('other'))).toBe(false)
  })
})

// Skipped where /dev/shm is no other filesystem: there is none to copy from.
describe.skipIf(!isElsewhere)(`a copy from ${memory} (skipped where that is no other filesystem)`, () => {
  let file = ''
  beforeEach(() => {
    file = join(mkdtempSync(join(memory, 'test-')), 'file')
    writeFileSync(file, 'content')
  })
  afterEach(() => rmSync(join(file, '..'), { recursive: true, force: true }))

  it('has the same content', async () => {
    await linkOrCopy(file, path('copy'), undefined)
    expect(readFileSync(path('copy'), 'utf8')).toBe('content')
  })

  it('ends amid a large file when it is interrupted', async () => {
    truncateSync(file, 8 * 1024 ** 3)
    const reason = new Error('interrupted')
    const interruption = new AbortController()
    const copying = linkOrCopy(file, path('copy'), interruption.signal)
    setTimeout(() => interruption.abort(reason), 50)
    await expect(copying).rejects.toBe(reason)
    expect(statSync(path('copy')).size).toBeLessThan(8 * 1024 ** 3)
  })
})
