import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { limitTransfer } from '../../../src/store/transfer-limit.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const reason = new Error('too large')

it('a transfer ends when its folder has more than it may, in however many files', async () => {
  const { signal, stop } = limitTransfer(path('layer'), 100, reason, new AbortController().signal)
  mkdirSync(path('layer'))
  for (const name of ['a', 'b', 'c']) writeFileSync(path('layer', name), 'x'.repeat(40))
  await once(signal, 'abort')
  stop()
  expect(signal.reason).toBe(reason)
})

it('a transfer ends when it is interrupted', () => {
  const interruption = new AbortController()
  const { signal, stop } = limitTransfer(path('layer'), 100, reason, interruption.signal)
  interruption.abort(new Error('interrupted'))
  stop()
  expect(signal.reason).toEqual(new Error('interrupted'))
})
