/** Limits of time hold, whatever the garbage collector removes. */

import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { withinLimit } from '../../../src/host/within-limit.ts'
import { files, read } from '../../support/imports.ts'
import { collectGarbage, shortenLimits } from '../../support/limits.ts'

const minuteMs = 60_000

/** Ends with the reason of its signal, like everything that listens to one. */
const endless = async (within: AbortSignal): Promise<never> => {
  await once(within, 'abort')
  throw within.reason
}

describe('a limit', () => {
  it('ends what takes longer, with its own reason if it has one', async () => {
    shortenLimits()
    const never = new AbortController().signal
    const waiting = withinLimit(minuteMs, never, endless)
    await Promise.all([collectGarbage(), expect(waiting).rejects.toThrow('it took longer than 60 s')])
    await expect(withinLimit(minuteMs, undefined, endless, () => new Error('late'))).rejects.toThrow('late')
  })

  it('leaves the reason of an interruption as it is', async () => {
    const stopping = new AbortController()
    const waiting = withinLimit(minuteMs, stopping.signal, endless)
    stopping.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
  })

  it('is over with its action, and so is what the action has left behind', async () => {
    let left: AbortSignal | undefined
    const done = await withinLimit(minuteMs, undefined, async (within) => {
      left = within
      return 'done'
    })
    expect([done, left?.aborted]).toEqual(['done', true])
  })

  it('that no timer supports is the longest that one does', async () => {
    expect(await withinLimit(Number.POSITIVE_INFINITY, undefined, collectGarbage)).toBeUndefined()
  })
})

describe('the sources of a signal', () => {
  const unreferenced = /AbortSignal\.timeout\b|AbortSignal\.any\([^)]*new AbortController/

  it('are all referred to by something else: limits of time have one helper', () => {
    expect(files.filter((path) => unreferenced.test(read(path)))).toEqual([])
  })

  it('are found where they are not', () => {
    expect('AbortSignal.any([signal, AbortSignal.timeout(limitMs)])').toMatch(unreferenced)
    expect('AbortSignal.any([\n  signal,\n  new AbortController().signal,\n])').toMatch(unreferenced)
    expect('AbortSignal.any([signal, over.signal])').not.toMatch(unreferenced)
  })
})
