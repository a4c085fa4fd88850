import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { computeChecksums, dropChecksums, writeChecksums } from '../../../src/export/checksums.ts'
import { makeRawDisk } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()

async function add(name: string, content: string): Promise<void> {
  writeFileSync(path(name), content)
  await writeChecksums(path(name), await computeChecksums(path(name), new AbortController().signal))
}

const names = () =>
  readFileSync(path('sha256sum.txt'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split('  ')[1])

describe('checksum files', () => {
  it('are what md5sum, sha256sum and sha512sum check', async () => {
    await add('b-kvm.qcow2', 'b')
    await add('a-kvm.qcow2', 'a')
    for (const algorithm of ['md5', 'sha256', 'sha512']) {
      const checked = execFileSync(`${algorithm}sum`, ['--check', '--strict', `${algorithm}sum.txt`], {
        cwd: path(),
        encoding: 'utf8',
        env: { ...process.env, LC_ALL: 'C' },
      })
      expect(checked).toBe('a-kvm.qcow2: OK\nb-kvm.qcow2: OK\n')
    }
  })

  it('count the zeros of holes, too', async () => {
    const bytes = 5 * 2 ** 20 + 1
    for (const [name, places] of [
      ['within', { 100000: Buffer.alloc(70_000, 'a'), 3000000: Buffer.alloc(10, 'b') }],
      ['at-ends', { 0: Buffer.alloc(10, 'a'), [bytes - 10]: Buffer.alloc(10, 'b') }],
      ['only', {}],
    ] as const) {
      makeRawDisk(path(name), bytes, places)
      await writeChecksums(path(name), await computeChecksums(path(name), new AbortController().signal))
    }
    for (const algorithm of ['md5', 'sha256', 'sha512']) {
      execFileSync(`${algorithm}sum`, ['--check', '--strict', '--status', `${algorithm}sum.txt`], {
        cwd: path(),
      })
    }
    expect(names()).toEqual(['at-ends', 'only', 'within'])
  })

  it('tell how far they are, up to all of it', async () => {
    const told: number[] = []
    const { path: file } = makeRawDisk(path('long'), 2 ** 30, { 0: Buffer.alloc(10, 'a') })
    await computeChecksums(file, new AbortController().signal, ['md5', 'sha256'], (fraction) =>
      told.push(fraction),
    )
    expect(told.length).toBeGreaterThan(4)
    expect(told.at(-1)).toBe(1)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
  })

  it('leave lines that somebody else has written', async () => {
    mkdirSync(path('sub'))
    writeFileSync(path('sub', 'x'), '')
    const theirs = '# mine\nSHA256 (y) = 00ff\n'
    writeFileSync(path('sha256sum.txt'), `00ff  sub/x\n00ff  gone\n${theirs}`)
    await add('a-kvm.qcow2', 'a')
    const text = readFileSync(path('sha256sum.txt'), 'utf8')
    expect(text.startsWith(theirs)).toBe(true)
    expect(
      text
        .split('\n')
        .slice(2, -1)
        .map((line) => line.split('  ')[1]),
    ).toEqual(['a-kvm.qcow2', 'sub/x'])
  })

  it('have no line any more for a file that is about to be another', async () => {
    await add('a', 'a')
    await add('b', 'b')
    await dropChecksums(path('a'))
    expect(names()).toEqual(['b'])
  })

  it('find a file that was changed afterwards', async () => {
    await add('a-kvm.qcow2', 'a')
    writeFileSync(path('a-kvm.qcow2'), 'A')
    const { status } = spawnSync('sha256sum', ['--check', '--status', 'sha256sum.txt'], { cwd: path() })
    expect(status).toBe(1)
  })

  it('have one line for a file that is made again, with its new checksum', async () => {
    await add('a-kvm.qcow2', 'old')
    await add('a-kvm.qcow2', 'new')
    expect(names()).toEqual(['a-kvm.qcow2'])
    execFileSync('sha256sum', ['--check', '--status', 'sha256sum.txt'], { cwd: path() })
  })

  it('drop files that are not there any more', async () => {
    await add('a-kvm.qcow2', 'a')
    await add('b-kvm.qcow2', 'b')
    rmSync(path('a-kvm.qcow2'))
    await add('b-kvm.qcow2', 'b')
    expect(names()).toEqual(['b-kvm.qcow2'])
  })
})
