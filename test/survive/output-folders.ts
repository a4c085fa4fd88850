/** Output folders of a small pipeline for tests that need many, without the bytes of what they have in common. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { expect } from 'vitest'
import type { Report } from '../../src/report/report.ts'
import { openStore } from '../../src/store/store.ts'
import { readReport } from '../e2e/program.ts'
import { watchBuild } from './watched-build.ts'

/** Two builds of it make the same bytes. */
const pipeline = fileURLToPath(new URL('../fixtures/twice/pipeline.ts', import.meta.url))

export const wordsFor = (outFolder: string) => ['--pipeline', pipeline, '--out', outFolder]

export interface CompleteOptions {
  readonly words?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Told of a guest that has failed by itself. */
  readonly onRetry?: (code: string) => void
}

/**
 * Builds until it is done. Under load an emulated guest panics now and then, or its QEMU crashes, with nobody's doing: that
 * is told, no fault of the build's, and what it is there to survive.
 */
export async function complete(outFolder: string, options: CompleteOptions = {}): Promise<Report> {
  for (let tries = 1; ; tries += 1) {
    const build = watchBuild(
      ['--no-verify', ...wordsFor(outFolder), ...(options.words ?? [])],
      options.environment,
    )
    const { exitCode, stderr } = await build.ended
    const report = await readReport(outFolder)
    if (exitCode === 0) return report
    const code = report.run.failure?.code ?? ''
    expect(code, `${stderr} ${report.run.failure?.message}`).toMatch(ofGuest)
    expect(tries, 'failed by itself, again and again').toBeLessThan(4)
    options.onRetry?.(code)
  }
}

/** Codes of failures that an emulated guest comes to by itself. */
export const ofGuest = /^guest-(vanished|panicked|silent)$/

/** Makes an output folder with the downloads of another, and what was found out about the host. */
export async function linkCache(reference: string, outFolder: string): Promise<void> {
  await mkdir(outFolder, { recursive: true })
  await linkTree(join(reference, 'cache'), join(outFolder, 'cache'))
}

/** Gives an output folder the layer 0 of another, which takes the longest to make. */
export async function linkBase(reference: string, outFolder: string): Promise<void> {
  const store = openStore(join(reference, 'store'))
  const base = (await store.list()).find(({ name }) => name === 'base')
  if (base === undefined) throw new Error(`${reference} has no layer 0`)
  await mkdir(join(outFolder, 'store'), { recursive: true })
  for (const ending of ['qcow2', 'json']) {
    await linkTree(
      join(reference, 'store', `${base.key}.${ending}`),
      join(outFolder, 'store', `${base.key}.${ending}`),
    )
  }
}

async function linkTree(from: string, to: string): Promise<void> {
  await execa('cp', ['--archive', '--link', from, to])
}
