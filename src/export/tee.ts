/** Splits one source for several parallel readers, each of which reads all of it. */

import { EventEmitter, once } from 'node:events'

/** One reader's view of the source. It can be read once. */
export interface Branch<Item> extends AsyncIterable<Item> {
  /** Stops reading, even before it has started, so that the other readers no longer wait for this one. */
  readonly close: () => void
}

/**
 * Branches of a source, which is read only as fast as the slowest open branch, at most `ahead` items ahead of it. When all
 * branches are closed, so is the source. When the source fails, all branches do.
 */
export function tee<Item>(source: AsyncIterable<Item>, count: number, ahead = 16): readonly Branch<Item>[] {
  const changes = new EventEmitter().setMaxListeners(0)
  const changed = () => once(changes, 'change')
  const change = () => changes.emit('change')
  const open = new Set<Item[]>()
  let outcome: { readonly failed: boolean; readonly cause?: unknown } | undefined
  let isRead = false

  const read = async () => {
    try {
      for await (const item of source) {
        for (const waiting of open) waiting.push(item)
        change()
        while ([...open].some((waiting) => waiting.length >= ahead)) await changed()
        if (open.size === 0) break
      }
      outcome = { failed: false }
    } catch (cause) {
      outcome = { failed: true, cause }
    }
    change()
  }

  const branch = (): Branch<Item> => {
    const waiting: Item[] = []
    open.add(waiting)
    const close = () => {
      open.delete(waiting)
      change()
    }
    const next = async (): Promise<IteratorResult<Item, undefined>> => {
      if (!isRead) void read()
      isRead = true
      while (open.has(waiting)) {
        const item = waiting.shift()
        if (item !== undefined) {
          change()
          return { done: false, value: item }
        }
        if (outcome?.failed === true) throw outcome.cause
        if (outcome !== undefined) break
        await changed()
      }
      return { done: true, value: undefined }
    }
    const end = async (): Promise<IteratorResult<Item, undefined>> => {
      close()
      return { done: true, value: undefined }
    }
    return { close, [Symbol.asyncIterator]: () => ({ next, return: end }) }
  }
  return Array.from({ length: count }, branch)
}
