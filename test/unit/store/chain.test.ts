import { describe, expect, it } from 'vitest'
import { basesOf, layersUpTo, withThoseAbove } from '../../../src/store/chain.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { chainOf } from '../../support/layers.ts'

const layer = (key: string, parent: string | null, parts: object = { parent }) =>
  ({ key, parent, parts }) as unknown as Layer

/** base ← a ← b, base ← c, and d on a layer that is gone. */
const base = layer('base', null, { arch: 'x86_64' })
const [a, b, c, d] = [layer('a', 'base'), layer('b', 'a'), layer('c', 'base'), layer('d', 'gone')]

const keys = (...names: readonly string[]) => names as readonly LayerKey[]

describe('layers on top of one another', () => {
  it('have the base that is below all of them, in whatever order they come', () => {
    for (const layers of [
      [base, a, b, c, d],
      [d, c, b, a, base],
    ]) {
      const bases = basesOf(layers)
      expect([base, a, b, c, d].map((one) => bases.get(one))).toEqual([
        ...Array(4).fill({ arch: 'x86_64' }),
        undefined,
      ])
    }
  })

  it('are removed from the top', () => {
    const layers = [base, a, b, c, d]
    expect([...withThoseAbove(keys('a'), layers)]).toEqual(['b', 'a'])
    expect([...withThoseAbove(keys('base', 'a', 'd'), layers)].sort()).toEqual(['a', 'b', 'base', 'c', 'd'])
    for (const order of [keys('base', 'a'), keys('a', 'base')]) {
      const found: readonly string[] = [...withThoseAbove(order, layers)]
      expect(found.indexOf('b')).toBeLessThan(found.indexOf('a'))
      expect(found.at(-1)).toBe('base')
    }
    expect([...withThoseAbove(keys('none'), layers)]).toEqual(['none'])
  })

  it('may be as many as a store holds', async () => {
    const layers = chainOf(20_000)
    const byKey = new Map(layers.map((one) => [one.key, one]))
    const top = layers.at(-1) as Layer
    expect(basesOf([...layers].reverse()).get(top)).toBe(layers[0]?.parts)
    expect([...withThoseAbove([layers[0]?.key as LayerKey], layers)]).toEqual(
      layers.map(({ key }) => key).reverse(),
    )
    const below = await layersUpTo(top, { find: async (key) => byKey.get(key) })
    expect(below).toEqual(layers)
  })
})
