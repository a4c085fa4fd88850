/** Processes many items, a few at a time: all at once would need more open files than a process may have. */

import pLimit from 'p-limit'
import { allEnded } from './all-ended.ts'

const defaultWidth = 16

/**
 * Unlike `p-map`, it waits for what is under way when something fails, so that callers can remove what that still writes.
 * @param width how many at a time @default 16
 * @returns results in the order of the items
 * @throws the failure, once nothing is under way; no more items are started after the first one
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
