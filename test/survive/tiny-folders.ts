/** Output folders of the tiny pipeline for tests that need many, without the bytes of what they have in common. */

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { openStore } from '../../src/store/store.ts'
import { tinyPipeline } from '../e2e/program.ts'

export const imageName = 'tiny-1.0-x86_64-kvm.qcow2'

export const wordsFor = (outFolder: string) => ['--pipeline', tinyPipeline, '--out', outFolder]

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
