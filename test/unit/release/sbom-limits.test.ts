import { expect, it } from 'vitest'
import { excessOf } from '../../../src/release/sbom-limits.ts'

const many = <Item>(count: number, make: (number: number) => Item) =>
  Array.from({ length: count }, (_, number) => make(number))

it('a bill of a large image is validated, with all that its packages say', () => {
  const components = many(1500, (number) => ({ name: `package-${number}`, text: 'x'.repeat(1000) }))
  expect(excessOf({ components })).toBeUndefined()
})

it.each<[string, unknown]>([
  ['many short items', { dependencies: many(10_000, (number) => ({ ref: `${number}` })) }],
  ['many short words', { dependencies: [{ ref: 'a', dependsOn: many(20_000, String) }] }],
  ['long items', { components: many(2000, () => 'x'.repeat(2000)) }],
  ['levels without end', many(101, () => 0).reduce<unknown>((inner) => [inner], 0)],
])('a bill is not validated if that takes minutes: %s', (_what, bill) => {
  expect(excessOf(bill)).toBeDefined()
})
