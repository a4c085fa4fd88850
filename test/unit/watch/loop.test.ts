import { expect, it } from 'vitest'
import { createBell, runOnChanges } from '../../../src/watch/loop.ts'

/** A loop over texts that a test sets, and what it did. */
function loopOver(first: string | Error) {
  let now: string | Error = first
  const done: string[] = []
  const changed = createBell()
  const stopping = new AbortController()
  const settled = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
  const ended = runOnChanges(
    {
      load: async () => {
        if (now instanceof Error) throw now
        return now
      },
      isSame: (one, other) => one === other,
      run: async (target, fail, signal) => {
        done.push(`begins ${target}`)
        if (target.includes('throws')) throw new Error(target)
        if (target.includes('fails')) fail()
        if (target.includes('long'))
          await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        done.push(`ends ${target}`)
      },
      onFault: (error) => done.push((error as Error).message),
    },
    changed,
    stopping.signal,
  ).catch((reason: unknown) => reason)
  const change = async (next: string | Error) => {
    now = next
    changed.ring()
    await settled()
    return done.splice(0)
  }
  const begin = async () => {
    await settled()
    return done.splice(0)
  }
  return { begin, change, done, ended, stop: () => stopping.abort('stopped'), settled }
}

it('does what is asked for once, and again when it is something else', async () => {
  const { begin, change } = loopOver('one')
  expect(await begin()).toEqual(['begins one', 'ends one'])
  expect(await change('one')).toEqual([])
  expect(await change('two')).toEqual(['begins two', 'ends two'])
})

it('does again what has failed, also if nothing else is asked for', async () => {
  const { begin, change } = loopOver('fails')
  expect(await begin()).toEqual(['begins fails', 'ends fails'])
  expect(await change('fails')).toEqual(['begins fails', 'ends fails'])
  expect(await change('throws')).toEqual(['begins throws'])
  expect(await change('throws')).toEqual(['begins throws'])
})

it('cuts off what is no longer asked for, and waits for its end', async () => {
  const { begin, change } = loopOver('long one')
  expect(await begin()).toEqual(['begins long one'])
  expect(await change('two')).toEqual(['ends long one', 'begins two', 'ends two'])
})

it('shows faults, leaves what is running alone meanwhile, and goes on', async () => {
  const { begin, change } = loopOver('long one')
  await begin()
  expect(await change(new Error('a syntax error'))).toEqual(['a syntax error'])
  expect(await change('long one')).toEqual([])
  expect(await change('two')).toEqual(['ends long one', 'begins two', 'ends two'])
})

it('ends with the reason for which it was stopped, after what is running', async () => {
  const { begin, done, ended, stop, settled } = loopOver('long one')
  await begin()
  stop()
  expect(await ended).toBe('stopped')
  expect(done).toEqual(['ends long one'])
  await settled()
})
