import { describe, expect, it } from 'vitest'
import { renderStoredLayers } from '../../../src/cli/views/stored-layers.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import type { SavedState } from '../../../src/store/states.ts'
import { chainOf } from '../../support/layers.ts'

const layer = (key: string, parent: string | null): Layer =>
  ({ key, name: key, parent, sizeBytes: 10, createdAt: new Date().toISOString() }) as Layer

const render = (layers: readonly Layer[], saved: readonly SavedState[] = []) =>
  renderStoredLayers({ layers, saved, users: new Map([['base', ['here', 'there']]]) })

describe('the layers of a store', () => {
  it('are indented only where several share the one below', () => {
    const layers = [
      layer('base', null),
      layer('a', 'base'),
      layer('a2', 'a'),
      layer('b', 'base'),
      layer('c', 'b'),
      layer('d', 'b'),
      layer('lost', 'gone'),
    ]
    const saved = [{ layer: 'b', sizeBytes: 2048 }] as unknown as SavedState[]
    expect(render(layers, saved)).toBe(`layer    size    state  age  key   used by
base     10 B            0s  base  here there
├─ a     10 B            0s  a
│  a2    10 B            0s  a2
└─ b     10 B  2.0 KiB   0s  b
   ├─ c  10 B            0s  c
   └─ d  10 B            0s  d
lost     10 B            0s  lost
7 layers, 70 B; 1 state, 2.0 KiB
`)
  })

  it('may be a chain of any length', () => {
    const lines = render(chainOf(20_000)).split('\n')
    expect(lines).toHaveLength(20_003)
    expect(lines[20_000]).toMatch(/^stage {2}/)
  })

  it('are no wider for a branch at every layer', () => {
    const layers = Array.from({ length: 2000 }, (_, index) => [
      layer(`k${index}`, index === 0 ? null : `k${index - 1}`),
      layer(`side${index}`, index === 0 ? null : `k${index - 1}`),
    ])
    const widest = render(layers.flat())
      .split('\n')
      .reduce((most, line) => Math.max(most, line.length), 0)
    expect(widest).toBeLessThan(150)
  })
})
