import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { writeBzip2, writeZip } from '../../../src/formats/archive.ts'
import { creators, encodeFooter } from '../../../src/formats/vhd-format.ts'
import { sha256File } from '../../../src/host/hash-file.ts'
import { readCloudStackSize } from '../../support/cloudstack-vhd.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const quiet = () => undefined

describeWith(['bzip2', 'lbzip2', 'pigz', 'unzip'], 'a compressed file', () => {
  const entry = { entryName: 'image.vhd', timestampSeconds: Date.UTC(2026, 0, 2) / 1000 }
  const content = Buffer.from(
    [...Array(300_000).keys()].map((index) => sha256(`${index >> 4}`).slice(0, 8)).join(''),
  )

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['a little', Buffer.from('little')],
    ['more than a block', content],
  ])('gives back %s, byte for byte', async (_case, bytes) => {
    writeFileSync(path('image'), bytes)
    await writeBzip2(path('image'), path('a.bz2'), quiet, never)
    await writeZip(path('image'), path('a.zip'), entry, quiet, never)
    expect(execFileSync('bzip2', ['-dc', path('a.bz2')], { maxBuffer: 1e8 }).equals(bytes)).toBe(true)
    expect(execFileSync('unzip', ['-p', path('a.zip')], { maxBuffer: 1e8 }).equals(bytes)).toBe(true)
    expect(execFileSync('unzip', ['-tq', path('a.zip')], { encoding: 'utf8' })).toContain('No errors')
    expect(readdirSync(path()).sort()).toEqual(['a.bz2', 'a.zip', 'image'])
  })

  it('has the same bytes at another time, in another place and zone', async () => {
    writeFileSync(path('image'), content)
    await writeBzip2(path('image'), path('a.bz2'), quiet, never)
    await writeZip(path('image'), path('a.zip'), entry, quiet, never)
    const zone = process.env.TZ
    await sleep(1100)
    try {
      process.env.TZ = 'Asia/Tokyo'
      writeFileSync(path('moved'), content)
      await writeBzip2(path('moved'), path('b.bz2'), quiet, never)
      await writeZip(path('moved'), path('b.zip'), entry, quiet, never)
    } finally {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    }
    expect(await sha256File(path('b.bz2'))).toBe(await sha256File(path('a.bz2')))
    expect(await sha256File(path('b.zip'))).toBe(await sha256File(path('a.zip')))
  })

  it('in a zip file has the name and the date it was given', async () => {
    writeFileSync(path('image'), 'x')
    await writeZip(path('image'), path('a.zip'), entry, quiet, never)
    const list = execFileSync('unzip', ['-Zl', path('a.zip')], { encoding: 'utf8' })
    expect(list).toMatch(/^-rw-r--r-- .* 26-Jan-02 00:00 image\.vhd$/m)
  })

  it('of a VHD tells CloudStack the virtual size', async () => {
    const sizeBytes = 252 * 1024 * 1024
    const uuid = '12345678-1234-4234-9234-123456789abc'
    const fields = { creator: creators.xen, sizeBytes, timestampSeconds: 0, uuid }
    writeFileSync(path('vhd'), encodeFooter({ subformat: 'dynamic', ...fields }))
    await writeBzip2(path('vhd'), path('vhd.bz2'), quiet, never)
    expect(readCloudStackSize(path('vhd.bz2'))).toBe(sizeBytes)
  })

  it('tells how far it is', async () => {
    writeFileSync(path('image'), content)
    const told: number[] = []
    await writeZip(path('image'), path('a.zip'), entry, (fraction) => told.push(fraction), never)
    expect(told.at(-1)).toBe(1)
  })

  it('that fails says why', async () => {
    writeFileSync(path('image'), content)
    symlinkSync('/dev/full', path('full'))
    await expect(writeBzip2(path('image'), path('full'), quiet, never)).rejects.toThrow('ENOSPC')
    await expect(writeZip(path('gone'), path('a.zip'), entry, quiet, never)).rejects.toThrow('ENOENT')
    const controller = new AbortController()
    const stop = () => controller.abort(new Error('interrupted'))
    const { signal } = controller
    await expect(writeBzip2(path('image'), path('a.bz2'), stop, signal)).rejects.toThrow('interrupted')
    await expect(writeZip(path('image'), path('a.zip'), entry, stop, signal)).rejects.toThrow('interrupted')
  })

  it('that has no program to make it names it', async () => {
    writeFileSync(path('image'), content)
    const before = process.env.PATH
    try {
      process.env.PATH = path()
      await expect(writeBzip2(path('image'), path('a.bz2'), quiet, never)).rejects.toThrow(/lbzip2/)
      await expect(writeZip(path('image'), path('a.zip'), entry, quiet, never)).rejects.toThrow(/pigz/)
    } finally {
      process.env.PATH = before
    }
    expect(readFileSync(path('image')).equals(content)).toBe(true)
  })
})
