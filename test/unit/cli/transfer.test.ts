/** What a terminal shows while files are on their way. */

import picocolors from 'picocolors'
import { expect, it } from 'vitest'
import { createTransferView } from '../../../src/cli/views/transfer.ts'

const mebibyte = 1024 ** 2

it('shows size, speed and the rest, without what an earlier attempt has sent', () => {
  let nowMs = 0
  const said: string[] = []
  const live = {
    print: (line: string) => said.push(line),
    start: (name: string) => said.push(`start ${name}`),
    describe: (_name: string, detail: string) => said.push(detail),
    end: (name: string) => said.push(`end ${name}`),
  }
  const view = createTransferView(live, picocolors.createColors(false), 110 * mebibyte, () => nowMs)
  const step = (doneMiB: number, sentMiB: number) =>
    view.onStep({
      name: 'image',
      doneBytes: doneMiB * mebibyte,
      sentBytes: sentMiB * mebibyte,
      sizeBytes: 100 * mebibyte,
    })
  step(0, 0)
  nowMs = 1000
  step(50, 0)
  nowMs = 10_000
  step(60, 10)
  nowMs = 50_000
  step(100, 50)
  view.onDone('image')
  expect(said).toEqual([
    'start image',
    '0 B of 100.0 MiB',
    '50.0 MiB of 100.0 MiB',
    '60.0 MiB of 100.0 MiB, 1.0 MiB/s, 50.0s left of all',
    '100.0 MiB of 100.0 MiB, 1.0 MiB/s, 10.0s left of all',
    'end image',
    '✔ image                             50.0s  100.0 MiB',
  ])
})
