/** Runs stages: one Packer build, one boot of the guest, and a checkpoint after each stage. */

import { bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import { runOnce } from './run-once.ts'
import type { RunOutcome } from './run-state.ts'
import type { StagesRequest } from './set-up.ts'

export type StagesOutcome = Pick<RunOutcome, 'results' | 'failure'>

/** Runs the stages of a request. A failure of the guest or of a stage is part of the outcome, not thrown. */
export async function runStages(request: StagesRequest): Promise<StagesOutcome> {
  return runUntilItCounts(
    request.plan.image.machine.savedStatesMiB > 0,
    (mayResume) => runOnce(request, mayResume),
    (text) => request.emit({ kind: 'note', text }),
  )
}

/**
 * Runs until the outcome counts, i.e. is not the fault of a saved state or of an emulated processor. A state that fails to
 * resume does not count as a boot: the guest still has all of its boots.
 */
export async function runUntilItCounts(
  mayResume: boolean,
  run: (mayResume: boolean) => Promise<RunOutcome>,
  onNote: (text: string) => void,
): Promise<RunOutcome> {
  let outcome = await run(mayResume)
  let boots = outcome.isStateBroken ? 0 : 1
  while (outcome.isWorthAnotherBoot && boots < bootsOfEmulatedGuest) {
    onNote(`${outcome.failure?.message}; it is booted again`)
    outcome = await run(false)
    boots += 1
  }
  return outcome
}
