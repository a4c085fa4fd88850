/** Runs stages: one Packer build, one boot of the guest, and a checkpoint after each stage. */

import { bootsOfEmulatedGuest } from '../qemu/accelerator.ts'
import { runOnce } from './run-once.ts'
import type { RunOutcome } from './run-state.ts'
import type { StagesRequest } from './set-up.ts'

export type StagesOutcome = Pick<RunOutcome, 'results' | 'failure'>

/** Runs the stages of a request. A failure of the guest or of a stage is part of the outcome, not thrown. */
export async function runStages(request: StagesRequest): Promise<StagesOutcome> {
  let outcome = await runOnce(request, request.plan.image.machine.savedStatesMiB > 0)
  for (let boots = 1; outcome.isWorthAnotherBoot && boots < bootsOfEmulatedGuest; boots += 1) {
    request.emit({ kind: 'note', text: `${outcome.failure?.message}; it is booted again` })
    outcome = await runOnce(request, false)
  }
  return outcome
}
