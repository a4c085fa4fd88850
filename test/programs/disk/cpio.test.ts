import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { type CpioEntry, renderCpio } from '../../../src/disk/cpio.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()

const entries: readonly CpioEntry[] = [
  { path: 'manifest', mode: 0o600, content: Buffer.from('') },
  { path: 'run/a/one', mode: 0o644, content: Buffer.from('1') },
  { path: 'run/a/b/script.sh', mode: 0o755, content: Buffer.from('#!/bin/sh\necho from the archive\n') },
  { path: 'run/bytes', mode: 0o400, content: Uint8Array.from({ length: 5000 }, (_, index) => index % 256) },
  { path: 'run/with space, and é', mode: 0o600, content: Buffer.from('name') },
]

describeWith(['cpio'], 'an archive, judged by cpio', () => {
  const cpio = (...options: string[]) =>
    execFileSync('cpio', ['--quiet', ...options], {
      input: renderCpio(entries),
      cwd: path('tree'),
      encoding: 'utf8',
    })

  it('lists every file after the folders above it', () => {
    mkdirSync(path('tree'))
    const names = cpio('-t').trimEnd().split('\n')
    expect(names).toEqual(['run', 'run/a', 'run/a/b', ...entries.map((entry) => entry.path)])
  })

  it('is unpacked with the same content and modes', () => {
    mkdirSync(path('tree'))
    cpio('-i', '-d', '-m')
    for (const entry of entries) {
      expect(readFileSync(path('tree', entry.path)).equals(Buffer.from(entry.content))).toBe(true)
      expect(statSync(path('tree', entry.path)).mode & 0o777).toBe(entry.mode)
    }
    expect(statSync(path('tree', 'run')).mode & 0o777).toBe(0o755)
    expect(execFileSync(path('tree', 'run/a/b/script.sh'), { encoding: 'utf8' })).toBe('from the archive\n')
  })

  it('may follow another, as the kernel reads them, since it fills whole blocks', () => {
    mkdirSync(path('tree'))
    const one = renderCpio([{ path: 'first', mode: 0o644, content: Buffer.from('1') }])
    expect(one.length % 512).toBe(0)
    writeFileSync(path('both'), Buffer.concat([one, renderCpio(entries)]))
    const names = execFileSync('sh', ['-c', '{ cpio --quiet -t; cpio --quiet -t; } <"$0"', path('both')], {
      encoding: 'utf8',
    })
    expect(names.split('\n').filter(Boolean)).toHaveLength(1 + 3 + entries.length)
  })
})
