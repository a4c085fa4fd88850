import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { type FileHandle, open, truncate } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { openRawDisk } from '../../../src/formats/raw-disk.ts'
import { writeHypervVhd, writeXenVhd } from '../../../src/formats/vhd.ts'
import { checkVhd } from '../../../src/formats/vhd-check.ts'
import { type VhdRule, vhdRules } from '../../../src/formats/vhd-check-rules.ts'
import { batmapFields, checksum, footerFields, headerFields } from '../../../src/formats/vhd-format.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal
const MiB = 1024 * 1024
const options = { uuidSeed: 'content', timestampSeconds: 1_767_312_000 }

const tableOffset = 1536
const batmapOffset = 2048
const firstBlock = 3584

/** A sound file of a disk that has data in blocks 0 and 2. */
async function makeVhd(kind: 'xen' | 'fixed', sizeMiB: number): Promise<string> {
  const file = path('sound.vhd')
  execFileSync('qemu-img', ['create', '-q', '-f', 'raw', path('disk'), `${sizeMiB}M`])
  execFileSync('qemu-io', [
    '-f',
    'raw',
    '-c',
    'write -q -P 1 0 4k',
    '-c',
    'write -q -P 1 4M 4k',
    path('disk'),
  ])
  const disk = await openRawDisk(path('disk'))
  if (kind === 'xen') await writeXenVhd(disk, file, options, () => undefined, never)
  else await writeHypervVhd(disk, file, { ...options, subformat: kind }, () => undefined, never)
  expect(await checkVhd(file)).toEqual([])
  return file
}

type Change = (bytes: Buffer) => void

/** Changes bytes of a file in place. */
async function patch(file: string, offset: number, length: number, change: Change): Promise<void> {
  const handle: FileHandle = await open(file, 'r+')
  try {
    const bytes = Buffer.alloc(length)
    await handle.read(bytes, 0, length, offset)
    change(bytes)
    await handle.write(bytes, 0, length, offset)
  } finally {
    await handle.close()
  }
}

const summed =
  (offset: number, change: Change): Change =>
  (bytes) => {
    change(bytes)
    bytes.writeUInt32BE(checksum(bytes, offset), offset)
  }

const atEnd = (file: string) => statSync(file).size - 512

/** Changes the footer at the end, and the copy with it. */
async function patchFooters(file: string, change: Change): Promise<void> {
  await patch(file, atEnd(file), 512, change)
  await patch(file, 0, 512, change)
}

const inFooter = (change: Change) => (file: string) =>
  patchFooters(file, summed(footerFields.checksum, change))
const inHeader = (change: Change) => (file: string) =>
  patch(file, 512, 1024, summed(headerFields.checksum, change))
const inTable = (index: number, sector: number) => (file: string) =>
  patch(file, tableOffset + index * 4, 4, (entry) => entry.writeUInt32BE(sector))
const inBatmap = (change: Change) => (file: string) => patch(file, batmapOffset, 512, change)
/** Of the map itself, whose checksum is in its header. */
const inMap = (change: Change) => (file: string) =>
  patch(file, batmapOffset, 1024, (both) => {
    change(both.subarray(512))
    both.writeUInt32BE(checksum(both.subarray(512)), batmapFields.checksum)
  })

const f = footerFields
const h = headerFields

/** For each rule, ways to break it and nothing else. */
const breaches: { readonly [Rule in VhdRule]: readonly ((file: string) => Promise<void>)[] } = {
  'file-size': [(file) => truncate(file, atEnd(file) + 511), (file) => truncate(file, 0)],
  'footer-cookie': [inFooter((footer) => footer.write('conectiX', 0))],
  'footer-checksum': [(file) => patchFooters(file, (footer) => footer.writeUInt32BE(1, f.checksum))],
  'footer-features': [
    inFooter((footer) => footer.writeUInt32BE(0, f.features)),
    inFooter((footer) => footer.writeUInt32BE(6, f.features)),
  ],
  'footer-version': [inFooter((footer) => footer.writeUInt32BE(0x20000, f.version))],
  'footer-data-offset': [
    inFooter((footer) => footer.fill(0xff, f.dataOffset, f.dataOffset + 8)),
    inFooter((footer) => footer.writeBigUInt64BE(513n, f.dataOffset)),
    inFooter((footer) => footer.writeBigUInt64BE(2n ** 40n, f.dataOffset)),
  ],
  'footer-timestamp': [
    inFooter((footer) =>
      footer.writeUInt32BE(Math.floor(Date.now() / 1000) - 946_684_800 + 2000, f.timestamp),
    ),
  ],
  'footer-creator': [inFooter((footer) => footer.writeUInt32BE(0x10004, f.creatorVersion))],
  'footer-sizes': [inFooter((footer) => footer.writeBigUInt64BE(BigInt(378 * MiB), f.originalSize))],
  'footer-geometry': [
    // What qemu-img writes when it is forced to keep a size.
    inFooter((footer) => footer.writeUInt32BE(0xffff_10ff, f.geometry)),
    inFooter((footer) => footer.writeUInt32BE(0x0201_103f, f.geometry)),
  ],
  'footer-geometry-exact': [inFooter((footer) => footer.writeUInt32BE(0x01ff_103f, f.geometry))],
  'footer-type': [
    inFooter((footer) => footer.writeUInt32BE(4, f.type)),
    inFooter((footer) => footer.writeUInt32BE(0, f.type)),
  ],
  'footer-uuid': [inFooter((footer) => footer.fill(0, f.uuid, f.uuid + 16))],
  'footer-saved': [inFooter((footer) => footer.writeUInt8(2, f.saved))],
  'footer-hidden': [inFooter((footer) => footer.writeUInt8(2, f.hidden))],
  'footer-reserved': [
    inFooter((footer) => footer.writeUInt8(1, f.reserved)),
    inFooter((footer) => footer.writeUInt8(1, 511)),
  ],
  'footer-copy': [
    (file) =>
      patch(
        file,
        0,
        512,
        summed(f.checksum, (footer) => footer.writeUInt32BE(5, f.timestamp)),
      ),
    (file) =>
      patch(
        file,
        atEnd(file),
        512,
        summed(f.checksum, (footer) => footer.writeUInt32BE(5, f.timestamp)),
      ),
  ],
  'fixed-size': [
    async (file) => {
      const bytes = Buffer.alloc(512)
      await patch(file, atEnd(file), 512, (footer) => footer.copy(bytes))
      await patch(file, atEnd(file) + 512, 512, (end) => bytes.copy(end))
    },
  ],
  'header-cookie': [inHeader((header) => header.write('cxsparsE', 0))],
  'header-checksum': [(file) => patch(file, 512, 1024, (header) => header.writeUInt32BE(1, h.checksum))],
  'header-version': [inHeader((header) => header.writeUInt32BE(0x20000, h.version))],
  'header-data-offset': [inHeader((header) => header.writeBigUInt64BE(0n, h.dataOffset))],
  'header-table-offset': [
    inHeader((header) => header.writeBigUInt64BE(1024n, h.tableOffset)),
    inHeader((header) => header.writeBigUInt64BE(1537n, h.tableOffset)),
    inHeader((header) => header.writeUInt32BE(0x7fff_ffff, h.tableEntries)),
  ],
  'header-table-entries': [inHeader((header) => header.writeUInt32BE(125, h.tableEntries))],
  'header-block-size': [
    inHeader((header) => header.writeUInt32BE(3 * MiB, h.blockBytes)),
    inHeader((header) => header.writeUInt32BE(0, h.blockBytes)),
  ],
  'header-reserved': [
    inHeader((header) => header.writeUInt8(1, h.reserved)),
    inHeader((header) => header.writeUInt8(1, 1023)),
  ],
  'header-parent': [h.parentUuid, h.parentTimestamp, h.parentName, h.parentLocators].map((offset) =>
    inHeader((header) => header.writeUInt8(1, offset)),
  ),
  // The table of a larger disk reaches beyond this place.
  'block-behind-headers': [inTable(0, firstBlock / 512)],
  'block-inside-file': [inTable(2, (firstBlock + 2 * (2 * MiB + 4096)) / 512)],
  'block-overlap': [inTable(2, firstBlock / 512)],
  'block-alignment': [
    async (file) => {
      const place = firstBlock + 2 * MiB + 4096 - 512
      await patch(file, place, 512, (bitmap) => bitmap.fill(0xff))
      await inTable(2, place / 512)(file)
    },
  ],
  'block-bitmap': [(file) => patch(file, firstBlock, 512, (bitmap) => bitmap.writeUInt8(0xfe, 511))],
  'batmap-cookie': [inBatmap((header) => header.write('tdbatmaP', 0))],
  'batmap-version': [inBatmap((header) => header.writeUInt32BE(0x10003, batmapFields.version))],
  'batmap-checksum': [inBatmap((header) => header.writeUInt32BE(1, batmapFields.checksum))],
  'batmap-size': [
    inBatmap((header) => {
      header.writeUInt32BE(0, batmapFields.sectors)
      header.writeUInt32BE(checksum(Buffer.alloc(0)), batmapFields.checksum)
    }),
  ],
  'batmap-offset': [
    inBatmap((header) => header.writeBigUInt64BE(0n, batmapFields.offset)),
    inBatmap((header) => header.writeBigUInt64BE(2561n, batmapFields.offset)),
    inBatmap((header) => header.writeUInt32BE(0x7fff_ffff, batmapFields.sectors)),
  ],
  'batmap-bits': [inMap((map) => map.writeUInt8(0xf0, 0))],
}

describeWith(['qemu-img', 'qemu-io'], 'the check of a VHD', () => {
  it.each(Object.keys(vhdRules) as VhdRule[])(
    'finds what breaks the rule %s, and nothing else',
    async (rule) => {
      expect(breaches[rule].length).toBeGreaterThan(0)
      for (const breach of breaches[rule]) {
        const kind = rule === 'fixed-size' ? 'fixed' : 'xen'
        const file = await makeVhd(kind, rule === 'block-behind-headers' ? 5040 : 252)
        await breach(file)
        const found = await checkVhd(file)
        expect(found.map((fault) => fault.split(':')[0])).toEqual([rule])
        expect(found[0]).toContain(vhdRules[rule])
      }
    },
  )

  it('does not read a table with more entries than any disk has blocks', async () => {
    const file = await makeVhd('xen', 252)
    const footer = readFileSync(file).subarray(atEnd(file))
    await truncate(file, 64 * MiB)
    writeFileSync(file, footer, { flag: 'a' })
    await inHeader((header) => header.writeUInt32BE(2 ** 23, h.tableEntries))(file)
    const rule = 'header-table-entries'
    expect(await checkVhd(file)).toEqual([`${rule}: ${vhdRules[rule]}, but it has ${2 ** 23}`])
  })

  it('reads a block once, however many entries lead to it, and says no more than is of use', async () => {
    const file = await makeVhd('xen', 252)
    await patch(file, tableOffset, 126 * 4, (table) => {
      for (let index = 0; index < 126; index += 1) table.writeUInt32BE(firstBlock / 512, index * 4)
    })
    expect(await checkVhd(file)).toHaveLength(1)
  })

  it('ends when it is told to', async () => {
    const file = await makeVhd('xen', 252)
    await expect(checkVhd(file, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})
