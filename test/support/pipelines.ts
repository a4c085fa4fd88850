/** Small pipelines for tests, resolved like any other. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { definePipeline, type Pipeline } from '../../src/config/pipeline.ts'
import { resolvePipeline } from '../../src/config/resolve.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { defineStage, z } from '../../src/config/stage.ts'

/** Fields of a pipeline without any faults. */
export const sound: Omit<Pipeline, 'stages'> = {
  name: 'sample',
  release: '1.0',
  date: '2026-01-02',
  variants: [{ suite: 'trixie', arch: 'x86_64' }],
  disk: {
    sizeMiB: 1260,
    partitions: [
      { mount: '/boot', filesystem: 'ext2', sizeMiB: 160, primary: true, bootable: true },
      { filesystem: 'swap', sizeMiB: 32 },
      { mount: '/', filesystem: 'ext4', grow: true },
    ],
  },
  hostname: 'sample',
  domain: 'example.org',
  account: { name: 'tester' },
  targets: ['kvm'],
  reproducible: false,
}

/** Three stages, `first`, `second` and `third`, with scripts and files in `folder`. */
export function threeStages(folder: string) {
  const from = pathToFileURL(join(folder, 'stages.ts')).href
  mkdirSync(join(folder, 'payload', 'etc'), { recursive: true })
  writeFileSync(join(folder, 'payload', 'etc', 'motd'), 'hello\n')
  for (const name of ['first', 'second', 'third']) writeFileSync(join(folder, `${name}.sh`), `echo ${name}\n`)
  const settings = { word: z.string().default('word'), count: z.int().min(0).default(1) }
  const environment = ({ word, count }: { word: string; count: number }) => ({
    WORD: word,
    COUNT: `${count}`,
  })
  return {
    first: defineStage({ name: 'first', summary: 'first', from, settings, environment }),
    second: defineStage({
      name: 'second',
      summary: 'second',
      from,
      settings,
      environment,
      files: () => ({ payload: './payload' }),
      packages: () => ['nano'],
      leaves: ({ word }) => [`/etc/${word}`],
    }),
    third: defineStage({ name: 'third', summary: 'third', from, settings, environment, network: true }),
  }
}

/** The sample pipeline with three stages, resolved. */
export async function sampleImage(folder: string, over: Partial<Pipeline> = {}): Promise<ResolvedImage> {
  const { first, second, third } = threeStages(folder)
  const pipeline = definePipeline({ ...sound, stages: [first(), second(), third()], ...over })
  const { images } = await resolvePipeline(pipeline)
  return images[0] as ResolvedImage
}
