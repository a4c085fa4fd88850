/** Actions that take turns: never more than some of them at a time. */

/** Runs an action when it is its turn. */
export type TakeTurns = <Result>(action: () => Promise<Result>) => Promise<Result>

/** At most `width` actions at a time, in the given order; a failed one does not stop the next. */
export function takeTurns(width: number): TakeTurns {
  const waiting: (() => void)[] = []
  let free = width
  return async (action) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await action()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}

/** Actions that must not overlap. */
export const oneAtATime = (): TakeTurns => takeTurns(1)
