import { describe, expect, it } from 'vitest'
import { type SetUp, withSteps } from '../../../src/host/steps.ts'

/** Three toy steps, and what is done in which order. */
function toys(broken: Readonly<Record<string, Error>> = {}) {
  const order: string[] = []
  const errors: unknown[] = []
  const note = (text: string) => {
    order.push(text)
    if (broken[text] !== undefined) throw broken[text]
  }
  const step = (name: string) => ({
    run: async () => {
      note(`run ${name}`)
      return name
    },
    cleanup: async (value: string) => note(`clean up ${value}`),
  })
  const runAll = async (setUp: SetUp) => {
    for (const name of ['one', 'two', 'three']) await setUp(step(name))
    note('work')
    return 'result'
  }
  return { order, errors, run: () => withSteps(runAll, (error) => errors.push(error)) }
}

const undone = ['clean up three', 'clean up two', 'clean up one']
const [first, second] = [new Error('first'), new Error('second')]

describe('steps', () => {
  it('are undone in reverse when all is done', async () => {
    const { order, errors, run } = toys()
    expect(await run()).toBe('result')
    expect(order).toEqual(['run one', 'run two', 'run three', 'work', ...undone])
    expect(errors).toEqual([])
  })

  it('are undone in reverse when the work fails', async () => {
    const { order, run } = toys({ work: first })
    await expect(run()).rejects.toBe(first)
    expect(order.slice(-3)).toEqual(undone)
  })

  it('are undone as far as they were done', async () => {
    const { order, run } = toys({ 'run three': first })
    await expect(run()).rejects.toBe(first)
    expect(order).toEqual(['run one', 'run two', 'run three', 'clean up two', 'clean up one'])
  })

  it('are undone though one can not be, which masks no earlier error', async () => {
    const { order, errors, run } = toys({ work: first, 'clean up two': second })
    await expect(run()).rejects.toBe(first)
    expect(order.slice(-3)).toEqual(undone)
    expect(errors).toEqual([second])
  })

  it('that can not be undone leave the result what it is', async () => {
    const { errors, run } = toys({ 'clean up three': first, 'clean up one': second })
    expect(await run()).toBe('result')
    expect(errors).toEqual([first, second])
  })
})
