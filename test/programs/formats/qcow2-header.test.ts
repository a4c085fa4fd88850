/** What the check of KVM's file says of a qcow2 that not every host reads. */

import { execFileSync } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { expect, it } from 'vitest'
import { readUnusualFeatures } from '../../../src/formats/qcow2-header.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { stdio: 'pipe' })

function makeImage(options = 'compat=1.1'): string {
  qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path('disk.qcow2'), '8M')
  return path('disk.qcow2')
}

/** Sets bits of the incompatible features. */
function setBits(file: string, bits: bigint): string {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(bits)
  const handle = openSync(file, 'r+')
  writeSync(handle, bytes, 0, 8, 72)
  closeSync(handle)
  return file
}

describeWith(['qemu-img'], 'the features of a qcow2', () => {
  it.each(['compat=0.10', 'compat=1.1', 'compression_type=zstd', 'cluster_size=2M'])(
    'are not unusual with %s',
    async (options) => {
      expect(await readUnusualFeatures(makeImage(options))).toEqual([])
    },
  )

  it('that a host may refuse are named', async () => {
    expect(await readUnusualFeatures(makeImage('extended_l2=on'))).toEqual(['it has extended L2 entries'])
    expect(await readUnusualFeatures(setBits(makeImage(), 0b11n))).toEqual([
      'it was not closed (dirty)',
      'it is marked as corrupt',
    ])
    expect(await readUnusualFeatures(setBits(makeImage(), 4n | (1n << 40n)))).toEqual([
      'its data is in another file',
      'it needs the unknown feature 40',
    ])
    const withSnapshot = makeImage()
    qemuImg('snapshot', '-c', 'one', withSnapshot)
    expect(await readUnusualFeatures(withSnapshot)).toEqual(['it has 1 snapshots inside'])
  })
})
