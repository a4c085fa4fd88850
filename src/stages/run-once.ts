/** One boot of the guest: sets everything up, lets Packer work through the stages, and takes everything down. */

import { messageOf } from '../errors.ts'
import { noteFolder } from '../host/run-folder.ts'
import { createScratchFolder, type ScratchFolder } from '../host/scratch-folder.ts'
import { type SetUp, withSteps } from '../host/steps.ts'
import { interpret } from './interpret.ts'
import { createMailbox } from './mailbox.ts'
import { perform } from './perform.ts'
import type { RunEvent } from './run-events.ts'
import { initialState, outcomeOf, type RunFacts, type RunOutcome } from './run-state.ts'
import { type Equipment, type StagesRequest, setUpRun } from './set-up.ts'

/** @param mayResume whether the guest may resume from a saved state; it boots otherwise */
export async function runOnce(request: StagesRequest, mayResume: boolean): Promise<RunOutcome> {
  const cleanupErrors: unknown[] = []
  const onCleanupError = (error: unknown) => void cleanupErrors.push(error)
  const outcome = await withSteps(async (setUp) => {
    const scratch = await setUp({
      run: () => createScratchFolder((folder) => noteFolder(request.runFolder.path, folder)),
      cleanup: ({ remove }) => remove(),
    })
    const conclude = await withSteps((inner) => run(request, mayResume, scratch, inner), onCleanupError)
    return conclude()
  }, onCleanupError)
  for (const error of cleanupErrors) {
    if (outcome.failure === undefined) throw error
    request.emit({ kind: 'note', text: `after the failure, cleaning up failed too: ${messageOf(error)}` })
  }
  return outcome
}

/** Returns what is left to do once everything is taken down. */
async function run(
  request: StagesRequest,
  mayResume: boolean,
  scratch: ScratchFolder,
  setUp: SetUp,
): Promise<() => Promise<RunOutcome>> {
  const mailbox = createMailbox<RunEvent>()
  const { send } = mailbox
  const equipment = await setUpRun({ ...request, mayResume, scratch, send }, setUp)
  const { packer, watch, recorder, guest } = equipment
  const handles = { ...equipment, request, send }
  const facts = factsOf(request, equipment)
  const { state, broken } = interpret(initialState(facts), mailbox, (effect) => perform(handles, effect))
  send({ kind: 'started' })
  const ended = await Promise.race([packer.ended, broken])
  send({ kind: 'packer-ended', ...ended, errors: packer.errors, console: await watch.lastWords() })
  return async () => {
    send({ kind: 'settled', cutOff: recorder.interrupt(-1) })
    // A bug may have surfaced in the meantime.
    await Promise.race([broken, undefined])
    const outcome = outcomeOf(state())
    if (outcome.isStateBroken && guest.state !== undefined) await request.states.remove(guest.state.key)
    return outcome
  }
}

function factsOf(request: StagesRequest, { guest, logs }: Equipment): RunFacts {
  return {
    stages: request.stages,
    start: guest.state === undefined ? 'boot' : 'resume',
    holdsFailures: request.decide !== undefined,
    accelerator: guest.acceleration.accelerator,
    estimate: request.estimate,
    logOf: logs.of,
    reportedLogOf: logs.reported,
    packerLog: logs.packerDebug,
    storeFolder: request.store.folder,
  }
}
