/** Folders that a person names may be anywhere, also where no folder can be made. */

import { mkdtempSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { makeFolder } from '../../../src/host/files.ts'
import { files, read } from '../../support/imports.ts'
import { useOutput } from '../../support/output.ts'

const text = useOutput()

describe('a folder', () => {
  it('is made with those above it, and may be there already', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'test-'))
    await makeFolder(join(folder, 'a', 'b', 'c'), 0o700)
    await makeFolder(join(folder, 'a', 'b', 'c'))
    expect(statSync(join(folder, 'a', 'b')).mode & 0o777).toBe(0o700)
    writeFileSync(join(folder, 'file'), '')
    await expect(makeFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
  })

  it('is refused in words where a link to nothing has its name', async () => {
    const link = join(mkdtempSync(join(tmpdir(), 'test-')), 'link')
    symlinkSync('nothing', link)
    expect(await main(['init', link])).toBe(3)
    expect(text.stderr).toMatch(/^✖ cannot mkdir .*link: .*EEXIST/)
    expect(text.stderr).toContain('name another one')
  })

  it('is not asked for without end where none can be made', async () => {
    expect(await main(['init', '/proc/no/such'])).toBe(3)
    expect(text.stderr).toMatch(/^✖ cannot mkdir \/proc\/no.*ENOENT/)
    // Node's own way of making several would ask again and again, and nothing could interrupt it.
    const asking = files.filter((path) => /\bmkdir(?:Sync)?\([^\n]*recursive: true/.test(read(path)))
    expect(asking).toEqual(['src/compile/program.js'])
  })
})
