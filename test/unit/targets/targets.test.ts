/** What targets have to be so that nothing else needs to know which there are. */

import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import * as list from '../../../src/targets/list.ts'
import { deviceModels, formatFields, targetNames, targets } from '../../../src/targets/registry.ts'

const defaults = (name: (typeof targetNames)[number]) => formatFields[name].parse(undefined)

it('targets are found by their own names, each with a rank of its own', () => {
  expect(Object.entries(list).map(([key, { name }]) => [key, name])).toEqual(
    Object.keys(list).map((key) => [key, key]),
  )
  const ranks = targetNames.map((name) => targets[name].rank)
  const shared = targetNames.filter((name) => ranks.filter((rank) => rank === targets[name].rank).length > 1)
  expect(shared, 'these have the same rank: give the new one the next free number').toEqual([])
})

it.each(targetNames)("a file for %s is known by its name, and not by any other target's", (name) => {
  const file = `image-x86_64-${targets[name].suffix(defaults(name))}`
  expect(targetNames.filter((other) => targets[other].names.part.test(file))).toEqual([name])
})

it.each(targetNames)('a file for %s is booted with a device model that is there', (name) => {
  const { deviceModels: own, deviceModelFor } = targets[name]
  for (const settings of [undefined, defaults(name)]) expect(own).toHaveProperty(deviceModelFor(settings))
  // Two of one name would hide each other.
  for (const [model, value] of Object.entries(own))
    expect(Object.entries(deviceModels)).toContainEqual([model, value])
})

it.each(targetNames)('%s has a row in the documentation', (name) => {
  const page = readFileSync(new URL('../../../docs/formats.md', import.meta.url), 'utf8')
  const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()))
  const file = `\`…-${targets[name].suffix(defaults(name))}\``
  const row = rows.find(([, cell]) => cell === `\`${name}\``)
  expect(row?.[2], `docs/formats.md needs a row: | \`${name}\` | ${file} | what it is |`).toBe(file)
})
