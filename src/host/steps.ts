/** Steps that are set up in order and undone in reverse, whatever happens in between. */

export interface Step<Value> {
  readonly run: () => Value | Promise<Value>
  /** Undoes what `run` did. Not called if `run` failed. */
  readonly cleanup: (value: Value) => unknown
}

/** Runs a step, and keeps its cleanup for later. */
export type SetUp = <Value>(step: Step<Value>) => Promise<Value>

/**
 * Runs `body`, then the cleanups of its steps in reverse, whether it returns or throws. A failed cleanup neither stops the
 * others nor masks another error: it goes to `onCleanupError`.
 */
export async function withSteps<Result>(
  body: (setUp: SetUp) => Promise<Result>,
  onCleanupError: (error: unknown) => void,
): Promise<Result> {
  const cleanups: (() => unknown)[] = []
  const setUp: SetUp = async ({ run, cleanup }) => {
    const value = await run()
    cleanups.push(() => cleanup(value))
    return value
  }
  try {
    return await body(setUp)
  } finally {
    for (const cleanup of cleanups.reverse()) {
      try {
        await cleanup()
      } catch (error) {
        onCleanupError(error)
      }
    }
  }
}
