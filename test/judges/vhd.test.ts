import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeHypervVhd, writeXenVhd } from '../../src/formats/vhd.ts'
import { sha256File } from '../../src/host/hash-file.ts'
import { makeRawDisk } from '../support/disks.ts'
import { useFolder } from '../support/folder.ts'
import { describeJudge, hasLibrary, hasProgram, judgedBytes, judgedContent, readByLibrary } from './judges.ts'

const path = useFolder()
const never = new AbortController().signal
const options = { uuidSeed: 'content', timestampSeconds: Date.UTC(2026, 0, 2) / 1000 }
const kinds = ['xen', 'dynamic', 'fixed'] as const

/** Returns the sha256 of the disk in it. */
async function make(kind: (typeof kinds)[number]): Promise<string> {
  const disk = makeRawDisk(path('disk.raw'), judgedBytes, judgedContent)
  const quiet = () => undefined
  if (kind === 'xen') await writeXenVhd(disk, path('disk.vhd'), options, quiet, never)
  else await writeHypervVhd(disk, path('disk.vhd'), { ...options, subformat: kind }, quiet, never)
  return sha256File(disk.path)
}

describeJudge('libvhdi', { 'python3-libvhdi': hasLibrary('pyvhdi') }, () => {
  it.each(kinds)('reads a VHD of kind %s as the disk', async (kind) => {
    const sum = await make(kind)
    expect(readByLibrary('pyvhdi', path('disk.vhd'))).toBe(`${judgedBytes} ${sum}`)
  })
})

describeJudge('vhdiinfo', { 'vhdiinfo (libvhdi-utils)': hasProgram('vhdiinfo') }, () => {
  it.each(kinds)('describes a VHD of kind %s', async (kind) => {
    await make(kind)
    const said = execFileSync('vhdiinfo', [path('disk.vhd')], { encoding: 'utf8' })
    expect(said).toMatch(kind === 'fixed' ? /Disk type\s*: Fixed/ : /Disk type\s*: Dynamic/)
    expect(said).toMatch(/Media size\s*: 252 MiB \(264241152 bytes\)/)
  })
})

/** Xen Orchestra's library, 0.7.2 of which npm has; `VHD_LIB` is the folder of a project that has installed it. */
function findVhdLib() {
  try {
    return createRequire(join(process.env.VHD_LIB ?? process.cwd(), 'package.json'))('vhd-lib')
  } catch {
    return undefined
  }
}

const vhdLib = findVhdLib()

describeJudge("Xen Orchestra's vhd-lib", { 'vhd-lib, or VHD_LIB says where': vhdLib !== undefined }, () => {
  /** What it asks of a place where files are. */
  const files = {
    openFile: async (file: string) => openSync(file, 'r'),
    closeFile: async (file: number) => closeSync(file),
    getSize: async (file: number) => fstatSync(file).size,
    read: async (file: number, buffer: Buffer, position: number) => ({
      buffer,
      bytesRead: readSync(file, buffer, 0, buffer.length, position),
    }),
  }

  it.each(['xen', 'dynamic'] as const)('reads a VHD of kind %s as the disk', async (kind) => {
    const sum = await make(kind)
    const hash = createHash('sha256')
    for await (const chunk of await vhdLib.createContentStream(files, path('disk.vhd'))) hash.update(chunk)
    expect(hash.digest('hex')).toBe(sum)
  })
})
