/** Does the same to many things, some of them at a time: all at once would take more open files than a process may have. */

import { allEnded } from './all-ended.ts'

const atOnce = 16

/** Results in the order of the items. @throws the first failure, once nothing is under way */
export async function someAtATime<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const work = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await act(items[index] as Item)
    }
  }
  await allEnded(Array.from({ length: atOnce }, work))
  return results
}
