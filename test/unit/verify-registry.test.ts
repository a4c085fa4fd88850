import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { assertionIds, contract } from '../../src/config/contract.ts'
import { targets } from '../../src/config/image.ts'
import { checkGroups } from '../../src/verify/check.ts'
import { checks, fileChecksOf, sceneChecksOf, unchecked, unreached } from '../../src/verify/registry.ts'
import { type SceneName, sceneSpecs, scenesOfTarget } from '../../src/verify/scenes.ts'

/** The contract as it is written down. */
const numbered = {
  A: [1, 18],
  B: [1, 16],
  C: [0, 16],
  D: [1, 10],
  E: [0, 5],
  F: [1, 7],
} as const
const written = Object.entries(numbered).flatMap(([letter, [first, last]]) =>
  Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`),
)

describe('the contract', () => {
  it('has every assertion, and those of our own under G', () => {
    expect(assertionIds.filter((id) => !id.startsWith('G'))).toEqual(written)
  })

  it('has each assertion either checked or listed as what cannot be, with its reason', () => {
    const checked = new Set<string>(checks.map(({ id }) => id))
    const listed = new Set<string>(unchecked.map(({ id }) => id))
    expect(assertionIds.filter((id) => checked.has(id) === listed.has(id))).toEqual([])
    for (const { id, reason } of [...unchecked, ...unreached]) expect(reason.length, id).toBeGreaterThan(20)
  })

  it('is all in the documentation, with the same titles', () => {
    const page = readFileSync(new URL('../../docs/verify.md', import.meta.url), 'utf8')
    const rows = new Map(
      [...page.matchAll(/^\| (\w\d+) +\| (.*?) +\|/gm)].map(([, id, title]) => [id, title]),
    )
    expect([...rows.keys()]).toEqual(assertionIds)
    for (const id of assertionIds) expect(rows.get(id), id).toBe(contract[id].title)
  })
})

describe('the checks', () => {
  it('each belong to a group and say what they do', () => {
    for (const { id, group, does } of checks) {
      expect(checkGroups, id).toContain(group)
      expect(does, id).toMatch(/^[a-z].{10,}[^.]$/)
    }
  })

  it('are all asked of some file', () => {
    const scenes = new Set(targets.flatMap((target) => scenesOfTarget[target]))
    const asked = new Set([
      ...targets.flatMap((target) => fileChecksOf(target)),
      ...checks.filter(({ at }) => at === 'content'),
      ...[...scenes].flatMap((scene) => sceneChecksOf(scene)),
    ])
    expect(checks.filter((check) => !asked.has(check)).map(({ id }) => id)).toEqual([])
  })

  it('are asked once in a place: two of the same id look at different things', () => {
    for (const scene of Object.keys(sceneSpecs) as SceneName[]) {
      const ids = sceneChecksOf(scene).map(({ id }) => id)
      expect(new Set(ids).size, scene).toBe(ids.length)
    }
  })

  it('end a guest once, and last', () => {
    for (const scene of Object.keys(sceneSpecs) as SceneName[]) {
      const ending = sceneChecksOf(scene).map(({ endsGuest = false }) => endsGuest)
      expect(ending.slice(0, -1), scene).not.toContain(true)
    }
  })

  it('ask for ports in both orders', () => {
    const scenes = checks.flatMap((check) => (check.id === 'C0' && check.at === 'scene' ? check.scenes : []))
    expect(scenes.map((scene) => 'isPortFirst' in sceneSpecs[scene]).sort()).toEqual([false, true])
  })
})
