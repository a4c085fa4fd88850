import { describe, expect, it } from 'vitest'
import type { Layer } from '../../../src/store/layer-record.ts'
import { choosePrunable, growTrees, type LayerTree, type PruneRules } from '../../../src/store/prune.ts'

const day = 86_400_000
const now = Date.parse('2026-06-30T00:00:00Z')

function layer(key: string, parent: string | null, daysOld: number, sizeBytes = 10): Layer {
  return {
    key,
    name: key,
    parent,
    sizeBytes,
    createdAt: new Date(now - daysOld * day).toISOString(),
  } as Layer
}

/** base ← a ← b, and base ← old ← older, of which only the first line is in use. */
const layers = [
  layer('base', null, 30, 100),
  layer('a', 'base', 20),
  layer('b', 'a', 10),
  layer('old', 'base', 9),
  layer('older', 'old', 8),
]
const used = new Set(['base', 'a', 'b'])
const choose = (rules: Omit<PruneRules, 'nowMs'>, of = layers) => choosePrunable(of, { ...rules, nowMs: now })
const keys = (chosen: readonly Layer[]) => chosen.map(({ key }) => key)

describe('pruning', () => {
  it('takes what nothing uses, those on top first', () => {
    expect(keys(choose({ used, unusedForMs: 0 }))).toEqual(['older', 'old'])
  })

  it('leaves what is younger than asked', () => {
    expect(keys(choose({ used, unusedForMs: 8.5 * day }))).toEqual([])
    expect(keys(choose({ used, unusedForMs: 7 * day }))).toEqual(['older', 'old'])
  })

  it('never takes a layer from under one that stays', () => {
    const kept = new Set(['base', 'older'])
    expect(keys(choose({ used: kept, unusedForMs: 0 }))).toEqual(['b', 'a'])
  })

  it('takes no more than the size asks for, used layers last', () => {
    expect(keys(choose({ used, maxBytes: 125 }))).toEqual(['older', 'old'])
    expect(keys(choose({ used, maxBytes: 110 }))).toEqual(['older', 'old', 'b'])
    expect(keys(choose({ used, maxBytes: 0 }))).toEqual(['older', 'old', 'b', 'a', 'base'])
  })

  it('spares what is used where it is told to, and what that stands on', () => {
    expect(keys(choose({ used, maxBytes: 0, spareUsed: true }))).toEqual(['older', 'old'])
    expect(keys(choose({ used: new Set(['older']), maxBytes: 0, spareUsed: true }))).toEqual(['b', 'a'])
    expect(keys(choose({ used: new Set(['a']), maxBytes: 135, spareUsed: true }))).toEqual(['b'])
  })

  it('takes the oldest first', () => {
    const apart = [layer('base', null, 30), layer('young', 'base', 1), layer('aged', 'base', 20)]
    expect(keys(choose({ used: new Set(['base']), maxBytes: 20, spareUsed: true }, apart))).toEqual(['aged'])
  })

  it('has a layer that was dated by a clock a year ahead for a new one', () => {
    const dated = [layer('base', null, 30), layer('ahead', 'base', -365), layer('behind', 'base', 366)]
    const kept = new Set(['base'])
    expect(keys(choose({ used: kept, unusedForMs: 7 * day }, dated))).toEqual(['behind'])
    expect(keys(choose({ used: kept, unusedForMs: 0 }, dated))).toEqual(['ahead', 'behind'])
  })

  it('takes nothing without a rule', () => {
    expect(choose({ used })).toEqual([])
  })
})

describe('the tree of layers', () => {
  const names = ({ layer: { key }, above }: LayerTree): unknown[] => [key, ...above.map(names)]

  it('has what stands on a layer above it, oldest first', () => {
    expect(growTrees(layers).map(names)).toEqual([['base', ['a', ['b']], ['old', ['older']]]])
  })

  it('has a layer whose parent is gone as a root', () => {
    expect(growTrees(layers.slice(1)).map(names)).toEqual([
      ['a', ['b']],
      ['old', ['older']],
    ])
  })
})
