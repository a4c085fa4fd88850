/** The rooms of `src/`: imports go down the table in CONTRIBUTING.md, and never in a circle. */

import { describe, expect, it } from 'vitest'
import { files, type Import, imports, read } from '../support/imports.ts'

/** Rooms by rank: the first is the command line. */
const rooms = [...read('CONTRIBUTING.md').matchAll(/^\| `(src\/[\w-]+(?:\/|\.ts))` /gm)].map(
  ([, room = '']) => room,
)
const rankOf = (path: string) =>
  rooms.findIndex((room) => path === room || (room.endsWith('/') && path.startsWith(room)))

describe('the rooms of src/', () => {
  it('finds the imports at all', () => {
    expect(imports.length).toBeGreaterThan(files.length)
    expect(imports.find(({ to }) => !files.includes(to))).toBeUndefined()
  })

  it('has a room in CONTRIBUTING.md for every file, and a file for every room', () => {
    expect(files.filter((path) => rankOf(path) === -1)).toEqual([])
    expect(rooms.filter((room) => !files.some((path) => path.startsWith(room)))).toEqual([])
  })

  it('has no import that runs up', () => {
    const upward = imports.filter(({ from, to }) => rankOf(to) < rankOf(from))
    expect(upward.map(({ at, to }) => `${at} imports ${to}, which is above it`)).toEqual([])
  })

  it('has no circle of files', () => {
    expect(findCircle(imports)).toBeUndefined()
  })

  it('knows an upward import and a circle when it sees one', () => {
    expect(rankOf('src/cli/build.ts')).toBeLessThan(rankOf('src/host/files.ts'))
    const edge = (from: string, to: string) => ({ from, to, at: from })
    expect(findCircle([edge('a', 'b'), edge('b', 'c'), edge('c', 'b')])).toBe('b → c → b')
    expect(findCircle([edge('a', 'b'), edge('a', 'c'), edge('b', 'c')])).toBeUndefined()
  })
})

/** The one file that runs a program, where the program has a driver. */
const drivers: Readonly<Record<string, string>> = {
  'qemu-img': 'src/disk/qemu-img.ts',
  blkid: 'src/disk/partitions.ts',
  debugfs: 'src/disk/debugfs.ts',
  git: 'src/host/git.ts',
  gpgv: 'src/debian/gpgv.ts',
  lbzip2: 'src/formats/archive.ts',
  packer: 'src/packer/process.ts',
  sfdisk: 'src/disk/partitions.ts',
  skopeo: 'src/store/registry.ts',
  zstd: 'src/store/artifact.ts',
}

describe('the programs of others', () => {
  const spawns = files.flatMap((path) =>
    [...read(path).matchAll(/\b(?:execa|spawn|runFile|startGroup)\(\s*'([^']+)'/g)].map(
      ([, program = '']) => ({ path, program }),
    ),
  )

  it('are each run by their driver alone', () => {
    const elsewhere = spawns.filter(({ path, program }) => (drivers[program] ?? path) !== path)
    expect(elsewhere.map(({ path, program }) => `${path} runs ${program}`)).toEqual([])
    for (const [program, path] of Object.entries(drivers)) expect(spawns).toContainEqual({ path, program })
  })
})

describe('the output folder', () => {
  it('is looked up in its map alone', () => {
    const names = 'store|runs|images|cache|inputs|verdicts|repository|report\\.json'
    const below = new RegExp(`join\\([^)]*\\bout\\w*, '(?:${names})'`)
    const elsewhere = files.filter((path) => path !== 'src/host/out-folder.ts' && below.test(read(path)))
    expect(elsewhere).toEqual([])
    expect(below.test("join(runFolder.outFolder, 'cache', 'files')")).toBe(true)
  })
})

/** The first circle, as a chain of files. */
function findCircle(edges: readonly Import[]): string | undefined {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), to])
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): string | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path].join(' → ')
    if (done.has(path)) return undefined
    for (const to of next.get(path) ?? []) {
      const circle = visit(to, [...trail, path])
      if (circle !== undefined) return circle
    }
    done.add(path)
    return undefined
  }
  for (const path of next.keys()) {
    const circle = visit(path, [])
    if (circle !== undefined) return circle
  }
  return undefined
}
