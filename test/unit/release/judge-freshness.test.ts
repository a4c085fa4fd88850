import { describe, expect, it } from 'vitest'
import { type FreshnessQuestion, judgeUpdates } from '../../../src/release/judge-freshness.ts'
import type { Freshness, Update } from '../../../src/report/freshness.ts'

const update = (name: string, over: Partial<Update> = {}): Update => ({
  name,
  source: name,
  installed: '1',
  available: '2',
  suite: 'trixie-security',
  security: true,
  ...over,
})

const freshnessOf = (...updates: Update[]): Freshness => ({
  status: updates.length === 0 ? 'current' : 'outdated',
  checkedAt: '2026-11-28T12:00:00.000Z',
  archives: [],
  updates,
})

const archive = (suite: string, date: string) => ({
  ...{ suite, url: 'http://mirror.example', codename: 'trixie', sha256: 'a'.repeat(64), signers: [] },
  date: `${date}T00:00:00.000Z`,
})

const ask = (over: Partial<FreshnessQuestion>) =>
  judgeUpdates({
    freshness: freshnessOf(),
    settings: { waivers: [] },
    maximumAgeDays: undefined,
    archives: undefined,
    now: new Date('2026-11-28T12:00:00Z'),
    ...over,
  })

const waiver = (accepts: string, until: string) => ({ accepts, until, reason: 'for good reasons' })
const texts = (over: Partial<FreshnessQuestion>) =>
  ask(over).exceptions.map(({ kind, text }) => `${kind}: ${text}`)

describe('a missing security update', () => {
  it('is an exception, and any other update is none', () => {
    const freshness = freshnessOf(update('openssl'), update('nano', { security: false }))
    expect(texts({ freshness })).toEqual(['outdated: security updates are missing: openssl 1 → 2'])
  })

  it('is waived by its package or source package through the last day, and no longer', () => {
    const freshness = freshnessOf(update('libssl3t64', { source: 'openssl' }))
    for (const accepts of ['openssl', 'libssl3t64']) {
      const waivers = [waiver(accepts, '2026-11-28')]
      expect(ask({ freshness, settings: { waivers } })).toEqual({ exceptions: [], waived: waivers })
      expect(texts({ freshness, settings: { waivers: [waiver(accepts, '2026-11-27')] } })).toEqual([
        'outdated: security updates are missing: libssl3t64 1 → 2',
        `outdated: the waiver of ${accepts} ended on 2026-11-27`,
      ])
    }
  })

  it('of another package stays one, and a waiver that waives nothing is not named', () => {
    const waivers = [waiver('nano', '2026-12-31'), waiver('bash', '2020-01-01')]
    const { exceptions, waived } = ask({ freshness: freshnessOf(update('openssl')), settings: { waivers } })
    expect(exceptions).toHaveLength(1)
    expect(waived).toEqual([])
  })

  it('that may be missing without our knowledge is an exception of its own', () => {
    const freshness: Freshness = {
      status: 'unknown',
      checkedAt: '2026-11-28T12:00:00.000Z',
      reason: 'no way',
    }
    expect(texts({ freshness })).toEqual(['unchecked: missing security updates are not known: no way'])
  })
})

describe('the age of layer 0', () => {
  const archives = [
    archive('trixie', '2026-09-12'),
    archive('trixie-security', '2026-10-20'),
    // A later layer has used a later list of the same suite.
    archive('trixie-security', '2026-11-27'),
  ]

  it('is that of the newest archive it was made from', () => {
    expect(texts({ archives, maximumAgeDays: 39 })).toEqual([])
    expect(texts({ archives, maximumAgeDays: 38 })).toEqual([
      'outdated: layer 0 is from 2026-10-20, 39 days old; at most 38 are allowed',
    ])
  })

  it('is limited by the command line before the configuration', () => {
    const settings = { maximumAgeDays: 1, waivers: [] }
    expect(texts({ archives, settings })).toHaveLength(1)
    expect(texts({ archives, settings, maximumAgeDays: 100 })).toEqual([])
  })

  it('is waived until a day', () => {
    const of = (until: string) => ({ waivers: [waiver('base age', until)] })
    expect(texts({ archives, maximumAgeDays: 1, settings: of('2026-12-01') })).toEqual([])
    expect(texts({ archives, maximumAgeDays: 1, settings: of('2026-11-01') })).toHaveLength(2)
  })

  it('that is not known is no age that is allowed', () => {
    expect(texts({ maximumAgeDays: 1 })).toEqual([
      'unchecked: its age is not known: the archives that layer 0 was made from are not recorded',
    ])
    expect(texts({})).toEqual([])
  })
})
