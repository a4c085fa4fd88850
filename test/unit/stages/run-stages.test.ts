import { describe, expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { bootsOfEmulatedGuest } from '../../../src/qemu/accelerator.ts'
import { runUntilItCounts } from '../../../src/stages/run-stages.ts'
import type { RunOutcome } from '../../../src/stages/run-state.ts'

const good: RunOutcome = { results: [], failure: undefined, isWorthAnotherBoot: false, isStateBroken: false }
const panicked: RunOutcome = {
  ...good,
  failure: new PipelineError({ code: 'guest-panicked', message: 'the kernel of the guest panicked' }),
  isWorthAnotherBoot: true,
}
const brokenState: RunOutcome = {
  ...panicked,
  failure: new PipelineError({ code: 'state-not-woken', message: 'the guest did not resume' }),
  isStateBroken: true,
}

/** Runs with these outcomes one after another, the last one for ever. */
async function runWith(...outcomes: readonly [RunOutcome, ...RunOutcome[]]) {
  const runs: boolean[] = []
  const notes: string[] = []
  const outcome = await runUntilItCounts(
    true,
    async (mayResume) => {
      const next = outcomes[Math.min(runs.length, outcomes.length - 1)] ?? outcomes[0]
      runs.push(mayResume)
      return next
    },
    (text) => notes.push(text),
  )
  return { outcome, runs, notes }
}

describe('a guest that does not come up', () => {
  it('is booted again, never resumed again, and each time somebody reads why', async () => {
    const { outcome, runs, notes } = await runWith(panicked, panicked, good)
    expect(outcome).toBe(good)
    expect(runs).toEqual([true, false, false])
    expect(notes).toEqual(
      Array.from({ length: 2 }, () => 'the kernel of the guest panicked; it is booted again'),
    )
  })

  it('is believed in the end', async () => {
    const { outcome, runs } = await runWith(panicked)
    expect(outcome).toBe(panicked)
    expect(runs).toHaveLength(bootsOfEmulatedGuest)
  })

  it('has all of its boots after a state that does not resume', async () => {
    const { runs } = await runWith(brokenState, panicked)
    expect(runs).toHaveLength(1 + bootsOfEmulatedGuest)
  })
})
