/** The program's output to stdout and stderr, captured instead of shown. */

import { afterEach, beforeEach, vi } from 'vitest'
import { main } from '../../src/cli/main.ts'

export interface Output {
  stdout: string
  stderr: string
}

/** Captures both until `restore`. */
function capture(): { readonly output: Output; readonly restore: () => void } {
  const output: Output = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      output[name] += chunk.toString()
      return true
    }),
  )
  const restore = () => {
    for (const spy of spies) spy.mockRestore()
  }
  return { output, restore }
}

/** Captures both for each test in a file or in a `describe`. */
export function useOutput(): Readonly<Output> & { readonly clear: () => void } {
  let current: ReturnType<typeof capture> | undefined
  const output = () => current?.output ?? { stdout: '', stderr: '' }
  beforeEach(() => {
    current = capture()
  })
  afterEach(() => current?.restore())
  return {
    get stdout() {
      return output().stdout
    },
    get stderr() {
      return output().stderr
    },
    /** Discards what was written so far. */
    clear: () => Object.assign(output(), { stdout: '', stderr: '' }),
  }
}

/** Runs the program in this process, which saves the second that it takes to start. */
export async function runHere(...words: readonly string[]): Promise<Output & { readonly exitCode: number }> {
  const { output, restore } = capture()
  try {
    return { exitCode: await main(words), ...output }
  } finally {
    restore()
  }
}
