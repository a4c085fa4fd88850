import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { runMarker, startTime } from '../../src/host/process.ts'
import { noteBeginning, noteEnd, noteFolder } from '../../src/host/run-folder.ts'
import { clearLeftovers } from '../../src/make/leftovers.ts'
import { openStore } from '../../src/store/store.ts'
import { useFolder } from '../support/folder.ts'

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
  const [ours, others] = ['systemvm-image-', 'others-'].map((name) => mkdtempSync(join(tmpdir(), name)))
  mkdirSync(join(ours ?? '', 'tree'))
  mkdirSync(path('runs', 'killed'), { recursive: true })
  await noteBeginning(path('runs', 'killed'))
  for (const folder of [ours, others]) await noteFolder(path('runs', 'killed'), folder ?? '')
  await noteFolder(path('runs', 'killed'), join(tmpdir(), 'systemvm-image-never-made'))
  await clear()
  expect([ours, others].map((folder) => existsSync(folder ?? ''))).toEqual([false, true])
})

it('removes image files that are half made, and keeps the finished ones and what is not ours', async () => {
  mkdirSync(path('images'))
  const whole = ['.a-kvm.qcow2.json', '.htaccess', 'a-kvm.qcow2', 'md5sum.txt']
  for (const name of whole) writeFileSync(path('images', name), '')
  mkdirSync(path('images', '.unfinished'))
  writeFileSync(path('images', '.unfinished', 'a-kvm.qcow2'), '')
  writeFileSync(path('images', `md5sum.txt.${2 ** 22 + 1}-2.tmp`), '')
  writeFileSync(path(`report.json.${2 ** 22 + 1}-2.tmp`), '')
  await clear()
  expect(readdirSync(path('images')).sort()).toEqual(whole.sort())
  expect(readdirSync(path())).toEqual(['images'])
})

it('removes what killed programs have half written, and nothing that is being written', async () => {
  // No process has a number above 2^22.
  const [dead, alive] = [`${2 ** 22 + 1}-0badcafe.tmp`, `${process.pid}-0badcafe.tmp`]
  const folders = ['cache', 'inputs', 'verdicts', join('store', 'states')]
  for (const folder of folders) {
    mkdirSync(path(folder), { recursive: true })
    for (const end of [dead, alive]) writeFileSync(path(folder, `some.json.${end}`), '')
  }
  await clear()
  for (const folder of folders) expect(readdirSync(path(folder)), folder).toEqual([`some.json.${alive}`])
})

it('names layers that cannot be used', async () => {
  mkdirSync(path('store'))
  writeFileSync(path('store', `${'a'.repeat(64)}.json`), '{"name": "greet"')
  expect(await clear()).toEqual([
    { key: 'a'.repeat(64), name: undefined, fault: 'its record cannot be read' },
  ])
})
