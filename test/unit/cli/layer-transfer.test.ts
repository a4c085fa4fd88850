import { expect, it } from 'vitest'
import { showTransfer } from '../../../src/cli/views/layer-transfer.ts'
import type { BuildEvent } from '../../../src/report/events.ts'

function transfer() {
  const events: BuildEvent[] = []
  let now = 0
  const reporter = {
    emit: (event: BuildEvent) => events.push(event),
    aside: () => undefined,
    close: () => undefined,
  }
  const view = showTransfer('push', reporter, () => now)
  const last = () => {
    const event = events.at(-1)
    return event?.kind === 'part-progress' ? event.text : event?.kind
  }
  const wait = (seconds: number) => {
    now += seconds * 1000
  }
  return { view, last, wait }
}

it('says how many layers have arrived, and how long the rest will take by their bytes', () => {
  const { view, last, wait } = transfer()
  expect(last()).toBe('part-started')
  view.begin(3, 1000)
  expect(last()).toBe('0 of 3 layers')
  wait(10)
  view.arrived(250)
  expect(last()).toBe('1 of 3 layers, about 30.0s left')
  wait(10)
  view.arrived(250)
  expect(last()).toBe('2 of 3 layers, about 20.0s left')
  view.arrived(500)
  expect(last()).toBe('3 of 3 layers')
})

it('judges by the number of layers where their sizes are not known', () => {
  const { view, last, wait } = transfer()
  view.begin(4, undefined)
  wait(5)
  view.arrived(7)
  expect(last()).toBe('1 of 4 layers, about 15.0s left')
})
