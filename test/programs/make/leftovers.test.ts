import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { isLeftover, makeTemporaryFolder } from '../../../src/host/files.ts'
import { runMarker, startTime } from '../../../src/host/process.ts'
import { noteBeginning, noteEnd, noteFolder, temporaryFolderIn } from '../../../src/host/run-folder.ts'
import { clearLeftovers } from '../../../src/make/leftovers.ts'
import { openStates } from '../../../src/store/states.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const children: ReturnType<typeof spawn>[] = []
const clear = () => clearLeftovers(path(), openStore(path('store')))

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A run's folder as it is while the run is under way, with a program that it has started. */
async function begin(run: string): Promise<number> {
  mkdirSync(path('runs', run), { recursive: true })
  await noteBeginning(path('runs', run))
  const child = spawn('sleep', ['60'], { stdio: 'ignore', env: { ...process.env, [runMarker]: run } })
  children.push(child)
  await once(child, 'spawn')
  return child.pid ?? 0
}

it('ends the programs of every run that was killed, not only of the last', async () => {
  const pids = [await begin('test-killed-1'), await begin('test-killed-2')]
  await clear()
  expect(await Promise.all(pids.map(startTime))).toEqual([undefined, undefined])
  expect(readdirSync(path('runs', 'test-killed-1'))).toEqual([])
})

it('leaves alone what a run started that has ended by itself', async () => {
  const pid = await begin('test-ended')
  await noteEnd(path('runs', 'test-ended'))
  await clear()
  expect(await startTime(pid)).toBeDefined()
})

it('removes the folders that a killed run had noted, and none of another name', async () => {
  const ours = temporaryFolderIn(tmpdir())
  const others = mkdtempSync(join(tmpdir(), 'systemvm-image-'))
  mkdirSync(join(ours, 'tree'), { recursive: true })
  const behind = temporaryFolderIn(tmpdir())
  symlinkSync(others, behind)
  mkdirSync(path('runs', 'killed'), { recursive: true })
  await noteBeginning(path('runs', 'killed'))
  for (const folder of [ours, others, behind, `${others}/../${basename(others)}`])
    await noteFolder(path('runs', 'killed'), folder)
  await noteFolder(path('runs', 'killed'), temporaryFolderIn(tmpdir()))
  await clear()
  expect([ours, others, behind].map((folder) => existsSync(folder))).toEqual([false, true, true])
  for (const folder of [others, behind]) rmSync(folder, { recursive: true })
})

it('leaves alone what the note of a copied folder says: its run may be under way elsewhere', async () => {
  const pid = await begin('test-copied')
  const folder = temporaryFolderIn(tmpdir())
  mkdirSync(folder)
  await noteFolder(path('runs', 'test-copied'), folder)
  execFileSync('cp', ['-a', path('runs'), path('copy')])
  execFileSync('rm', ['-r', path('runs')])
  execFileSync('mv', [path('copy'), path('runs')])
  await clear()
  expect(await startTime(pid)).toBeDefined()
  expect(existsSync(folder)).toBe(true)
  rmSync(folder, { recursive: true })
})

it('removes image files that are half made, and keeps the finished ones and what is not ours', async () => {
  mkdirSync(path('images'))
  const whole = ['.a-kvm.qcow2.json', '.htaccess', 'a-kvm.qcow2', 'md5sum.txt']
  for (const name of whole) writeFileSync(path('images', name), '')
  mkdirSync(path('images', '.unfinished'))
  writeFileSync(path('images', '.unfinished', 'a-kvm.qcow2'), '')
  writeFileSync(path('images', `md5sum.txt.${2 ** 22 + 1}-0badcafe.tmp`), '')
  writeFileSync(path(`report.json.${2 ** 22 + 1}-0badcafe.tmp`), '')
  await clear()
  expect(readdirSync(path('images')).sort()).toEqual(whole.sort())
  expect(readdirSync(path())).toEqual(['images'])
})

describe('a name that a killed program has left', () => {
  // No process has a number above 2^22.
  const [dead, alive] = [`${2 ** 22 + 1}-0badcafe.tmp`, `${process.pid}-0badcafe.tmp`]
  const medium = 'a'.repeat(64)

  it.each<[folder: string, writer: string, name: string]>([
    ['.', 'a report', 'report.json'],
    ['images', 'a list of checksums', 'md5sum.txt'],
    ['inputs', 'a record', 'some.json'],
    ['verdicts', 'a record', 'some.json'],
    ['store/states', 'a saved state', 'state'],
    ['cache', 'the probe of the accelerator', 'accelerator-0.json'],
    ['cache', "packages on their way to debian-installer's guest", 'installer-packages'],
    ['cache', 'a layer on its way to or from a registry', 'registry'],
    ['cache/packages', 'a package', 'some_1.0_amd64.deb'],
    ['cache/files', 'a tarball', `${medium}.tar`],
    ['cache/files', 'a tarball that is unpacked', medium],
    ['cache/netboot', 'a file of the installer', 'linux'],
    ['cache/netboot', 'a package that is unpacked', medium],
    [`cache/netboot/${medium}`, 'a disc', 'disc.iso'],
  ])('in %s by %s goes, and stays as long as it is being written', async (folder, _, name) => {
    const whole = 'whole.tmp.json'
    for (const end of [dead, alive]) {
      mkdirSync(path(folder, `${name}.${end}`), { recursive: true })
      writeFileSync(path(folder, `${name}.${end}`, 'content'), '')
    }
    writeFileSync(path(folder, whole), '')
    await clear()
    const left = readdirSync(path(folder)).filter((entry) => entry.includes('tmp'))
    expect(left.sort()).toEqual([`${name}.${alive}`, whole].sort())
  })

  it.each(['notes.tmp', 'notes.1234.tmp', '0badcafe.tmp', 'unpacking-k3J9aB'])('%s is not', async (name) => {
    mkdirSync(path('images'))
    writeFileSync(path('images', name), '')
    await clear()
    expect(readdirSync(path('images'))).toEqual([name])
  })

  it('is a folder of its own for each writer', async () => {
    const folders = await Promise.all([makeTemporaryFolder(path('a')), makeTemporaryFolder(path('a'))])
    expect(new Set(folders).size).toBe(2)
    for (const folder of folders) {
      expect(statSync(folder).mode & 0o777).toBe(0o700)
      expect(isLeftover(basename(folder))).toBe(false)
    }
  })
})

it('names layers that cannot be used', async () => {
  mkdirSync(path('store'))
  writeFileSync(path('store', `${'a'.repeat(64)}.json`), '{"name": "greet"')
  expect(await clear()).toEqual([
    { key: 'a'.repeat(64), name: undefined, fault: 'its record cannot be read' },
  ])
})

it.each([
  ['store', 'a.qcow2'],
  ['store/states', 'a.99999999-deadbeef.tmp'],
  ['store/sources', 'a.tmp'],
  ['images', '.unfinished'],
  ['runs', 'unfinished'],
  ['runs/a', 'unfinished'],
  ['cache', 'a.99999999-deadbeef.tmp'],
  ['cache/images', 'a.99999999-deadbeef.tmp'],
  ['cache/netboot/a', 'a.99999999-deadbeef.tmp'],
])('removes nothing if %s is a link', async (folder, name) => {
  const others = path('of-others')
  mkdirSync(others)
  writeFileSync(join(others, name), '')
  mkdirSync(path('out', folder, '..'), { recursive: true })
  symlinkSync(others, path('out', folder))
  const cleared = clearLeftovers(path('out'), openStore(path('out', 'store')))
  await expect(cleared).rejects.toMatchObject({ code: 'out-linked', details: { path: path('out', folder) } })
  expect(readdirSync(others)).toEqual([name])
})

it('cleans up in an output folder that is a link itself', async () => {
  mkdirSync(path('disk', 'store'), { recursive: true })
  writeFileSync(path('disk', 'store', 'a.qcow2'), '')
  symlinkSync(path('disk'), path('out'))
  await clearLeftovers(path('out'), openStore(path('out', 'store')))
  expect(readdirSync(path('disk', 'store'))).toEqual([])
})

it('removes nothing from a store or states that are a link', async () => {
  mkdirSync(path('of-others'))
  writeFileSync(path('of-others', 'a.qcow2'), '')
  writeFileSync(path('of-others', `${'a'.repeat(64)}.zst`), '')
  symlinkSync(path('of-others'), path('store'))
  await expect(openStore(path('store')).sweep()).rejects.toMatchObject({ code: 'out-linked' })
  await expect(openStates(path('store')).prune([])).rejects.toMatchObject({ code: 'out-linked' })
  expect(readdirSync(path('of-others'))).toHaveLength(2)
})
