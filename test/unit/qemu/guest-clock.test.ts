import { describe, expect, it } from 'vitest'
import { describeWaiting, startGuestClock } from '../../../src/qemu/guest-clock.ts'
import type { Qmp } from '../../../src/qemu/qmp.ts'

/** A host that passes time as a test says, two processors of a guest (7 and 8), and QEMU's first thread (5). */
async function withHost() {
  const host = {
    nowMs: 1000,
    /** How often the clock has asked for the time. */
    looks: 0,
    waitedMs: new Map<number, number | undefined>([
      [5, 100],
      [7, 400],
      [8, 0],
    ]),
  }
  const clock = startGuestClock({
    now: () => {
      host.looks += 1
      return host.nowMs
    },
    waitedMs: (thread) => host.waitedMs.get(thread),
    processOf: () => 5,
  })
  const execute = async () => [{ 'thread-id': 7 }, { 'thread-id': 8 }]
  await clock.follow({ execute } as unknown as Qmp)
  const pass = (seconds: number, waits: Readonly<Record<number, number>> = {}) => {
    host.nowMs += seconds * 1000
    for (const [thread, waited] of Object.entries(waits))
      host.waitedMs.set(Number(thread), (host.waitedMs.get(Number(thread)) ?? 0) + waited * 1000)
  }
  return { clock, pass, host }
}

describe("a guest's clock", () => {
  it('goes as the host’s where the guest gets its processors', async () => {
    const { clock, pass } = await withHost()
    pass(60)
    expect(clock.seconds()).toBe(60)
    expect(describeWaiting(clock)).toBe('')
  })

  it('stands while the processor that is held up most waits', async () => {
    const { clock, pass } = await withHost()
    pass(60, { 7: 45, 8: 30 })
    expect(clock.seconds()).toBe(15)
    pass(10)
    expect(clock.seconds()).toBe(25)
    expect(describeWaiting(clock)).toBe(
      '; the host was busy: the guest waited for a processor 64 % of the time',
    )
  })

  it('stands while the processors sleep because QEMU has none for their disk', async () => {
    const { clock, pass } = await withHost()
    pass(60, { 5: 20, 7: 30 })
    expect(clock.seconds()).toBe(10)
  })

  it('never stands still: a limit on a host without any time ends at ten times its length', async () => {
    const { clock, pass } = await withHost()
    pass(600, { 7: 600 })
    expect(clock.seconds()).toBe(60)
  })

  it('goes on when a processor has ended', async () => {
    const { clock, pass, host } = await withHost()
    host.waitedMs.set(7, undefined)
    pass(5)
    expect(clock.seconds()).toBe(5)
  })

  it('counts all time until it knows the processors', () => {
    let nowMs = 0
    const clock = startGuestClock({
      now: () => nowMs,
      waitedMs: () => 1_000_000,
      processOf: () => undefined,
    })
    nowMs = 3000
    expect(clock.seconds()).toBe(3)
  })
})

describe('a limit', () => {
  it('is as long as the guest needs to have had its seconds', async () => {
    const { clock, pass, host } = await withHost()
    const hasLookedTwice = async () => {
      const before = host.looks
      await expect.poll(() => host.looks).toBeGreaterThan(before + 1)
    }
    let isOver = false
    const limit = clock.sleep(0.03).then(() => {
      isOver = true
    })
    await hasLookedTwice()
    expect(isOver).toBe(false)
    pass(0.02, { 7: 0.01 })
    await hasLookedTwice()
    expect(isOver).toBe(false)
    pass(0.02)
    await limit
  })

  it('ends by its signal', async () => {
    const { clock } = await withHost()
    await expect(clock.sleep(60, AbortSignal.abort(new Error('enough')))).rejects.toThrow()
  })
})
