/** Waits for several jobs at once. */

/** Results in the order of the jobs. @throws the first failure in that order, once none is under way */
export async function allEnded<Result>(jobs: readonly Promise<Result>[]): Promise<Result[]> {
  const ends = await Promise.allSettled(jobs)
  return ends.map((end) => {
    if (end.status === 'rejected') throw end.reason
    return end.value
  })
}
