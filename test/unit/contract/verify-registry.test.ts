import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { type AssertionId, assertionIds, contract, contractNames } from '../../../src/config/contract.ts'
import { checkGroups } from '../../../src/contract/check.ts'
import { checks, fileChecksOf, sceneChecksOf, unchecked, unreached } from '../../../src/contract/registry.ts'
import {
  byUefi,
  machineSizes,
  modelOf,
  type SceneName,
  type SceneSpec,
  sceneSpecs,
  scenesFor,
  scenesOf,
  sizeOf,
} from '../../../src/contract/scenes.ts'
import type { Partition } from '../../../src/disk/layout.ts'
import { roleNames } from '../../../src/guest/roles.ts'
import { deviceModels, targetNames } from '../../../src/targets/registry.ts'

/** The contract as it is written down, so that no assertion goes or comes by accident. */
const numbered = {
  A: [1, 18],
  B: [1, 16],
  C: [0, 16],
  D: [1, 16],
  E: [0, 7],
  F: [1, 9],
} as const
const written = Object.entries(numbered).flatMap(([letter, [first, last]]) =>
  Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`),
)

describe('the contract', () => {
  it('has every assertion, and those of our own under G', () => {
    expect(
      assertionIds.filter((id) => !id.startsWith('G')),
      'for an assertion that comes or goes, change `numbered` in this file; one of our own belongs under G',
    ).toEqual(written)
  })

  it('has each assertion either checked or listed as what cannot be, with its reason', () => {
    const checked = new Set<string>(checks.map(({ id }) => id))
    const listed = new Set<string>(unchecked.map(({ id }) => id))
    expect(assertionIds.filter((id) => checked.has(id) === listed.has(id))).toEqual([])
    for (const { id, reason } of [...unchecked, ...unreached]) expect(reason.length, id).toBeGreaterThan(20)
  })

  it('is a table in docs/verify.md: what holds, why, and where it is checked', async () => {
    const page = readFileSync(verifyPage, 'utf8')
    const table = /^\| id .*\n(\|.*\n)+/m
    expect(page).toMatch(table)
    const rows = assertionIds.map((id) => [id, contract[id].title, contract[id].why, placesOf(id)])
    const written = page.replace(table, () =>
      renderTable(['id', 'what holds', 'why', 'where it is checked'], rows),
    )
    await expect(written).toMatchFileSnapshot(verifyPage)
  })
})

const verifyPage = fileURLToPath(new URL('../../../docs/verify.md', import.meta.url))

/** In Markdown, with columns that line up. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (cells: readonly string[], fill: string) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0, fill)).join(' | ')} |\n`
  return [
    line(head, ' '),
    line(
      head.map(() => ''),
      '-',
    ),
    ...rows.map((row) => line(row, ' ')),
  ].join('')
}

/** Where an assertion is checked, as the table in docs/verify.md says it. */
function placesOf(id: AssertionId): string {
  const reason = unchecked.find((one) => one.id === id)?.reason
  if (reason !== undefined) return `not checked: ${reason}`
  const own = checks.filter((check) => check.id === id)
  const files = own.flatMap((check) => (check.at === 'file' ? [check] : []))
  const targets = files.flatMap((check) => check.targets ?? [])
  const file = targets.length === 0 ? 'file' : `file (${targets.join(', ')})`
  const scenes = own.flatMap((check) => (check.at === 'scene' ? check.scenes : []))
  const hasContent = own.some(({ at }) => at === 'content')
  return [...(files.length === 0 ? [] : [file]), ...(hasContent ? ['content'] : []), ...new Set(scenes)].join(
    ', ',
  )
}

const esp: Partition = {
  mount: '/boot/efi',
  filesystem: 'vfat',
  sizeMiB: 64,
  grow: false,
  primary: true,
  bootable: false,
  reservedPercent: 0,
}
const bios = { arch: 'x86_64', partitions: [{ ...esp, mount: '/boot', filesystem: 'ext2' }] } as const
const both = { arch: 'x86_64', partitions: [esp] } as const
const signed = { ...both, secureBoot: true }

const everyScene = (Object.keys(sceneSpecs) as SceneName[]).flatMap((scene) =>
  contractNames.map((name) => [scene, name] as const),
)

describe('the checks', () => {
  it('each belong to a group and say what they do', () => {
    for (const { id, group, does } of checks) {
      expect(checkGroups, id).toContain(group)
      expect(does, id).toMatch(/^[a-z].{10,}[^.]$/)
    }
  })

  it('are all asked of some file', () => {
    const scenes = new Set(targetNames.flatMap((target) => scenesOf(target)))
    const asked = new Set([
      ...targetNames.flatMap((target) => fileChecksOf(target)),
      ...checks.filter(({ at }) => at === 'content'),
      ...[...scenes].flatMap((scene) => contractNames.flatMap((name) => sceneChecksOf(scene, name))),
    ])
    expect(checks.filter((check) => !asked.has(check)).map(({ id }) => id)).toEqual([])
  })

  it('are asked once in a place: two of the same id look at different things', () => {
    for (const [scene, name] of everyScene) {
      const ids = sceneChecksOf(scene, name).map(({ id }) => id)
      expect(new Set(ids).size, scene).toBe(ids.length)
    }
  })

  it('end a guest once, and last', () => {
    for (const [scene, name] of everyScene) {
      const ending = sceneChecksOf(scene, name).map(({ endsGuest = false }) => endsGuest)
      expect(ending.slice(0, -1), scene).not.toContain(true)
    }
  })

  it('ask for ports in both orders', () => {
    const scenes = checks.flatMap((check) => (check.id === 'C0' && check.at === 'scene' ? check.scenes : []))
    expect(scenes.map((scene) => 'isPortFirst' in sceneSpecs[scene]).sort()).toEqual([false, true])
  })
})

describe('firmware', () => {
  const scenes = (image: Parameters<typeof scenesFor>[2]) =>
    (['kvm', 'hyperv', 'vmware', 'xenserver', 'raw'] as const).map((target) =>
      scenesFor(target, 'cloudstack', image).filter((name) => byUefi.includes(name)),
    )

  it('that a disk has no boot loader for boots nothing', () => {
    expect(scenes(bios).flat()).toEqual([])
    expect(scenes({ ...both, arch: 'aarch64' }).flat(), 'there every scene has it').toEqual([])
  })

  it('boots a disk for both in every machine that may have it', () => {
    expect(scenes(both)).toEqual([['uefi'], ['uefi'], ['uefi'], [], []])
    expect(scenes(signed)).toEqual([['uefi', 'secure-boot'], ['uefi'], ['uefi'], [], []])
  })

  it('may be asked for where nobody knows the disk', () => {
    expect(scenesFor('kvm', 'cloudstack', { arch: 'x86_64' })).not.toContain('uefi')
    expect(scenesFor('kvm', 'cloudstack', { arch: 'x86_64' }, ['uefi', 'port'])).toEqual(['port', 'uefi'])
    expect(scenesFor('kvm', 'cloudstack', bios, ['uefi'])).toEqual([])
  })

  it('is what the machine of such a scene has', () => {
    for (const target of ['kvm', 'hyperv', 'vmware'] as const)
      for (const name of scenesFor(target, 'cloudstack', signed)) {
        const { uefi }: SceneSpec = sceneSpecs[name]
        expect(deviceModels[modelOf(name, target, undefined)].uefi, `${target} ${name}`).toBe(uefi)
      }
  })
})

describe('the machines', () => {
  it('give routers the least that CloudStack gives them on hosts of an architecture, unless the configuration says otherwise', () => {
    const given = { contract: 'cloudstack', cpus: 2, memoryMiB: 512, routers: { cpus: 1 } } as const
    expect(machineSizes(given, 'x86_64').routers).toEqual({ cpus: 1, memoryMiB: 256 })
    expect(machineSizes(given, 'aarch64').routers).toEqual({ cpus: 1, memoryMiB: 512 })
    const chosen = { ...given, routers: { cpus: 2, memoryMiB: 384 } }
    expect(machineSizes(chosen, 'aarch64').routers).toEqual({ cpus: 2, memoryMiB: 384 })
  })

  it('have the size of a router in every role but those with an agent and those that tenants log in to', () => {
    const sizes = { cpus: 2, memoryMiB: 512, routers: { cpus: 1, memoryMiB: 256 } }
    const scenes = Object.entries(sceneSpecs) as [SceneName, SceneSpec][]
    const small = new Set(
      scenes.filter(([name]) => sizeOf(name, sizes) === sizes.routers).map(([, spec]) => spec.role),
    )
    const larger = ['secstorage', 'consoleproxy', 'cksnode', 'sharedfsvm']
    expect([...small].sort()).toEqual(roleNames.filter((role) => !larger.includes(role)).sort())
  })
})
