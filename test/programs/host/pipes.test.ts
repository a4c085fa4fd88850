/** A named pipe in the place of a file would be waited for without end. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { checkScripts } from '../../../src/config/scripts.ts'
import { verifyRelease as verifyDebianRelease } from '../../../src/debian/release.ts'
import { nameOfArchive, openReleaseMemory } from '../../../src/debian/release-memory.ts'
import { readRegular } from '../../../src/host/regular-file.ts'
import { readNote } from '../../../src/host/run-folder.ts'
import { readIsoFile } from '../../../src/installers/debian-installer/iso9660.ts'
import { readLock } from '../../../src/provenance/lock.ts'
import { verifyRelease } from '../../../src/release/verify-release.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const pipe = (...names: string[]) => execFileSync('mkfifo', [path(...names)])
const signal = new AbortController().signal

beforeEach(() => mkdirSync(path('release')))

describe('a named pipe is not waited for', () => {
  it.each(['release.json', 'provenance.intoto.json', 'md5sum.txt', 'sha512sum.txt', 'metadata.ini'])(
    'as %s of a release',
    async (name) => {
      pipe('release', name)
      writeFileSync(path('signers'), '')
      const trust = { signers: path('signers') }
      const { faults } = await verifyRelease({
        folder: path('release'),
        trust,
        onStep: () => undefined,
        signal,
      })
      expect(faults.map(({ file }) => file)).toContain(name)
    },
  )

  it('as the note of a run', async () => {
    pipe('release', 'unfinished')
    await expect(readNote(path('release'))).resolves.toBeUndefined()
  })

  it('as a keyring, a script, or a disc', async () => {
    pipe('file')
    const request = { url: 'http://127.0.0.1:9', suite: 'trixie', keyring: path('file') }
    await expect(
      verifyDebianRelease(request as unknown as Parameters<typeof verifyDebianRelease>[0]),
    ).rejects.toMatchObject({ code: 'keyring-missing' })
    const image = { stages: [{ name: 'stage', script: path('file'), files: {} }] }
    expect(await checkScripts([image as unknown as ResolvedImage])).toMatchObject([
      { path: 'stages.stage.script', rule: 'cannot be read' },
    ])
    await expect(readIsoFile(path('file'), 'vmlinuz')).rejects.toThrow('is not a file')
  })

  it('as a lock', async () => {
    pipe('pipeline.lock.yaml')
    await expect(readLock(path('pipeline.lock.yaml'))).rejects.toMatchObject({ code: 'lock-missing' })
  })

  it('as what a mirror has served', async () => {
    const request = { url: 'http://mirror.invalid', suite: 'trixie', arch: 'amd64' } as const
    mkdirSync(path('cache', 'archives'), { recursive: true })
    pipe('cache', 'archives', `${nameOfArchive(request)}.InRelease`)
    const { remember } = openReleaseMemory(path())
    const seen = { date: new Date(0) } as unknown as Parameters<typeof remember>[2]
    await expect(
      remember(Buffer.from('served'), request as unknown as Parameters<typeof remember>[1], seen),
    ).resolves.toBeUndefined()
  })
})

it('a file that does not say how long it is is not read', async () => {
  await expect(readRegular('/proc/self/status')).rejects.toThrow('its size is not known')
  writeFileSync(path('empty'), '')
  expect(await readRegular(path('empty'))).toHaveLength(0)
})

it('a file that is too large is not read', async () => {
  writeFileSync(path('file'), 'four')
  await expect(readRegular(path('file'), 3)).rejects.toThrow('has more than 3 bytes')
  expect((await readRegular(path('file'), 4)).toString()).toBe('four')
})
