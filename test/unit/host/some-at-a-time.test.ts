import { expect, it } from 'vitest'
import { someAtATime } from '../../../src/host/some-at-a-time.ts'

/** Jobs that end when the test says so. */
function jobs() {
  const begun: number[] = []
  const ends = new Map<number, (error?: Error) => void>()
  const act = (item: number) =>
    new Promise<string>((resolve, reject) => {
      begun.push(item)
      ends.set(item, (error) => (error === undefined ? resolve(`of ${item}`) : reject(error)))
    })
  /** Ends one, and lets what follows from that happen. */
  const end = async (item: number, error?: Error) => {
    ends.get(item)?.(error)
    await new Promise(setImmediate)
  }
  return { begun, act, end }
}

it('never begins more than its width, and has the results in the order of the items', async () => {
  const { begun, act, end } = jobs()
  const all = someAtATime([1, 2, 3, 4], act, 2)
  await end(0)
  expect(begun).toEqual([1, 2])
  await end(2)
  expect(begun).toEqual([1, 2, 3])
  for (const item of [3, 4, 1]) await end(item)
  expect(await all).toEqual(['of 1', 'of 2', 'of 3', 'of 4'])
})

it('fails once nothing is under way, and begins nothing after a failure', async () => {
  const { begun, act, end } = jobs()
  let failed: unknown
  const all = someAtATime([1, 2, 3, 4], act, 2).catch((error: unknown) => {
    failed = error
  })
  await end(0)
  const broken = new Error('broken')
  await end(2, broken)
  expect(failed).toBeUndefined()
  await end(1)
  await all
  expect(failed).toBe(broken)
  expect(begun).toEqual([1, 2])
})

it('does nothing with nothing', async () => {
  expect(await someAtATime([], () => Promise.reject(new Error('asked')))).toEqual([])
})
