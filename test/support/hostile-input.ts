/** What must hold true for any input. */

import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'
import { useFolder } from './folder.ts'

/** Part of the environment and of the input; must never be shown or written. */
export const secret = 'pl4nted'

// A guest that boots would keep running.
vi.mock('../../src/guest/run-guest.ts', async (original) => ({
  ...(await original<typeof import('../../src/guest/run-guest.ts')>()),
  runGuest: async () => 0,
}))

/** A fresh folder for each test. The program keeps its temporary files in it, and has a secret in its environment. */
export function useHostileFolder(): (...names: string[]) => string {
  const path = useFolder()
  beforeEach(() => {
    mkdirSync(path('temporary'))
    vi.stubEnv('TMPDIR', path('temporary'))
    vi.stubEnv('https_proxy', `http://user:${secret}@127.0.0.1:9/`)
    vi.stubEnv('GITHUB_TOKEN', secret)
  })
  afterEach(() => {
    expect(listing(path('temporary'))).toEqual([])
    expect(textOf(path('out'))).not.toContain(secret)
    vi.unstubAllEnvs()
  })
  return path
}

/** Runs the program, which must be safe: no hang, no stack trace, no secret, and no changes below `folder` except in `out`. */
export async function expectSafe(
  folder: string,
  words: readonly string[],
  title: string,
  isWritten = false,
): Promise<void> {
  const before = others(folder)
  const outcome = await feed(...words)
  expect(faultsOf(outcome), `${title}\n${outcome.said.slice(0, 2000)}`).toEqual([])
  if (!isWritten) expect(others(folder), title).toEqual(before)
}

/** The paths below a test's folder, without those of `--out`. */
export const others = (folder: string) => listing(folder).filter((name) => !name.startsWith('out'))

interface Outcome {
  readonly exitCode: number
  readonly said: string
}

/** Ten times as long as the slowest takes on a quiet host: only something that never ends takes longer. */
const limitMs = 60_000

/** Runs the program in this process, which saves the second that it takes to start. */
export async function feed(...words: readonly string[]): Promise<Outcome> {
  let said = ''
  const spies = (['stdout', 'stderr'] as const).map((to) =>
    vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
      said += chunk.toString()
      return true
    }),
  )
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within 60 s: ${words.join(' ')}`)), limitMs)
  })
  try {
    const exitCode = await Promise.race([main(words), late])
    return { exitCode, said }
  } finally {
    clearTimeout(timer)
    for (const spy of spies) spy.mockRestore()
  }
}

/** The rules that an outcome breaks; empty if it is fine. */
function faultsOf({ exitCode, said }: Outcome): readonly string[] {
  return [
    ...([0, 1, 2, 3, 4].includes(exitCode) ? [] : [`it ended with ${exitCode}`]),
    ...(/this is a bug|^ {4}at /m.test(said) ? ['it calls itself a bug'] : []),
    ...(said.includes(secret) ? ['it shows a secret'] : []),
    ...(exitCode !== 0 && said.trim() === '' ? ['it fails without a word'] : []),
    ...(/^[^\S\n]*::|##\[/m.test(said) ? ['it gives a CI system an order'] : []),
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not get through
    ...(/[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u202e]/.test(said)
      ? ['it lets control characters through']
      : []),
  ]
}

/** The names below a folder. */
const listing = (folder: string): readonly string[] =>
  existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : []

/** Everything that was written below a folder, except disks. */
export function textOf(folder: string): string {
  return listing(folder)
    .map((name) => join(folder, name))
    .map((file) => (isSmallFile(file) ? readFileSync(file, 'latin1') : ''))
    .join('\n')
}

function isSmallFile(path: string): boolean {
  const found = lstatSync(path)
  return found.isFile() && found.size < 2 ** 20
}
