/**
 * Unit tests start no programs: a test that does fails with the program's name, even if it treats the failure as a result.
 * Resolving a pipeline asks a shell about its scripts; here, they all count as valid shell code.
 */

import childProcess, { ChildProcess } from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, expect, vi } from 'vitest'

vi.mock('../../src/config/shell-syntax.ts', () => ({ faultsOfShell: async () => new Map() }))

const started: string[] = []

function refuse(program: unknown): never {
  const test = expect.getState().currentTestName ?? 'a test file'
  const refusal = `"${test}" starts ${String(program)}: a test that starts programs belongs in test/programs`
  started.push(refusal)
  throw new Error(refusal)
}

// All of Node's asynchronous functions use this one, which its types leave out.
Object.assign(ChildProcess.prototype, { spawn: ({ file }: { readonly file: string }) => refuse(file) })
Object.assign(childProcess, { execFileSync: refuse, execSync: refuse, spawnSync: refuse })
syncBuiltinESMExports()

afterEach(() => {
  expect(started.splice(0)).toEqual([])
})
