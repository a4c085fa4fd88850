/** Actions that must not overlap. */

/** Has actions run in the order in which they were given; one that fails does not keep the next from running. */
export function oneAtATime(): <Result>(action: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve()
  return (action) => {
    const result = last.then(action)
    last = result.catch(() => undefined)
    return result
  }
}
