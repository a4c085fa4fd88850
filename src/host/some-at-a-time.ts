/** Does the same to many things, some of them at a time: all at once would take more open files than a process may have. */

import pLimit from 'p-limit'
import { allEnded } from './all-ended.ts'

const defaultWidth = 16

/**
 * Unlike `p-map`, it does not leave what is under way behind when something fails: callers then remove what that still writes.
 * @param width how many at a time @default 16
 * @returns results in the order of the items
 * @throws a failure, once nothing is under way; no further item is begun after the first
 */
export function someAtATime<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
  width = defaultWidth,
): Promise<Result[]> {
  const inTurn = pLimit(width)
  const failure = new AbortController()
  const begin = async (item: Item): Promise<Result> => {
    failure.signal.throwIfAborted()
    try {
      return await act(item)
    } catch (error) {
      failure.abort(error)
      throw error
    }
  }
  return allEnded(items.map((item) => inTurn(begin, item)))
}
