/** Keeps the state of a run: reduces every event and performs its effects. */

import { awaitedLater } from '../host/awaited-later.ts'
import type { Mailbox } from './mailbox.ts'
import { reduce } from './reduce.ts'
import type { RunEffect, RunEvent } from './run-events.ts'
import type { RunState } from './run-state.ts'

interface Interpreter {
  readonly state: () => RunState
  /** Rejects when handling an event throws, which is a bug; never resolves. */
  readonly broken: Promise<never>
}

export function interpret(
  initial: RunState,
  { open }: Pick<Mailbox<RunEvent>, 'open'>,
  perform: (effect: RunEffect) => void,
): Interpreter {
  let state = initial
  const broken = awaitedLater(
    open((event) => {
      const [next, effects] = reduce(state, event)
      state = next
      for (const effect of effects) perform(effect)
    }),
  )
  return { state: () => state, broken }
}
