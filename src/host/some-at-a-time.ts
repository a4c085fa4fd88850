/** Does the same to many things, some of them at a time: all at once would take more open files than a process may have. */

const defaultWidth = 16

/**
 * @param width how many at a time @default 16
 * @returns results in the order of the items
 * @throws the first failure, once nothing is under way; no further item is begun after it
 */
export async function someAtATime<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
  width = defaultWidth,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  let failure: { readonly error: unknown } | undefined
  const work = async () => {
    while (next < items.length && failure === undefined) {
      const index = next++
      try {
        results[index] = await act(items[index] as Item)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work))
  if (failure !== undefined) throw failure.error
  return results
}
