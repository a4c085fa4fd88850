/** A full disk is named by the file that did not fit. */

import { existsSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import { createWriteStream, writeFile } from '../../../src/host/writing.ts'
import { files, read } from '../../support/imports.ts'

// Skipped where there is no /dev/full, which stands for a full disk.
describe.skipIf(!existsSync('/dev/full'))('a full disk (skipped where there is no /dev/full)', () => {
  const refusal = { code: 'ENOSPC', path: '/dev/full' }

  it('is named when a file is written', async () => {
    await expect(writeFile('/dev/full', 'text')).rejects.toMatchObject(refusal)
  })

  it('is named when a stream is written', async () => {
    const writing = pipeline([Buffer.from('text')], createWriteStream('/dev/full', { flags: 'w' }))
    await expect(writing).rejects.toMatchObject(refusal)
  })
})

it('files are written by these writers alone', () => {
  const plain = /import \{[^}]*\b(?:writeFile|createWriteStream)\b[^}]*\} from 'node:fs/
  const found = files.filter((path) => plain.test(read(path)) && path.endsWith('.ts'))
  // The compiler is below the room of the host.
  expect(found.sort()).toEqual(['src/compile/import-module.ts', 'src/host/writing.ts'])
})
