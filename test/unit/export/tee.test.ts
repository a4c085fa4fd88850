import { describe, expect, it } from 'vitest'
import { type Branch, tee } from '../../../src/export/tee.ts'

/** Gives numbers, and remembers how many and whether it was ended. */
function numbers(count: number, failure?: Error) {
  const seen = { given: 0, isEnded: false }
  const source = async function* () {
    try {
      for (; seen.given < count; ) yield seen.given++
      if (failure !== undefined) throw failure
    } finally {
      seen.isEnded = true
    }
  }
  return { source: source(), seen }
}

async function all<Item>(branch: Branch<Item> | undefined): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of branch ?? []) items.push(item)
  return items
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('branches of one source', () => {
  it('each have all of it, in order, though it is read once', async () => {
    const { source, seen } = numbers(1000)
    const found = await Promise.all(tee(source, 3, 4).map(all))
    const expected = Array.from({ length: 1000 }, (_, index) => index)
    expect(found).toEqual([expected, expected, expected])
    expect(seen).toEqual({ given: 1000, isEnded: true })
  })

  it('are read no faster than the slowest takes', async () => {
    const { source, seen } = numbers(1000)
    const [fast, slow] = tee(source, 2, 4)
    const reading = all(fast)
    await settle()
    expect(seen.given).toBe(4)
    expect((await all(slow)).length).toBe(1000)
    expect((await reading).length).toBe(1000)
  })

  it('do not wait for one that was closed, begun or not', async () => {
    const { source } = numbers(1000)
    const [one, unbegun, begun] = tee(source, 3, 4)
    const reading = all(one)
    for await (const item of begun ?? []) if (item === 2) break
    await settle()
    unbegun?.close()
    expect((await reading).length).toBe(1000)
    expect(await all(unbegun)).toEqual([])
  })

  it('end the source when the last of them is closed', async () => {
    const { source, seen } = numbers(1000)
    const branches = tee(source, 2, 4)
    const first = branches[0]?.[Symbol.asyncIterator]()
    expect(await first?.next()).toEqual({ done: false, value: 0 })
    for (const branch of branches) branch.close()
    await settle()
    expect(seen.isEnded).toBe(true)
    expect(seen.given).toBeLessThan(10)
  })

  it('all fail with it, after what came before', async () => {
    const failure = new Error('no more')
    const branches = tee(numbers(10, failure).source, 2)
    const taken = branches.map(async (branch) => {
      let count = 0
      const reading = (async () => {
        for await (const _ of branch) count += 1
      })()
      await expect(reading).rejects.toBe(failure)
      return count
    })
    expect(await Promise.all(taken)).toEqual([10, 10])
  })
})
