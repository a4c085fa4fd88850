/** Waits for several jobs at once. */

/** Results in the order of the jobs. @throws the first failure in that order, once every job has ended */
export async function allEnded<Jobs extends readonly Promise<unknown>[] | []>(
  jobs: Jobs,
): Promise<{ -readonly [Index in keyof Jobs]: Awaited<Jobs[Index]> }> {
  await Promise.allSettled(jobs)
  return Promise.all(jobs)
}
