/** Where a run keeps its files, and what it is called. */

import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface RunPlace {
  readonly id: string
  /** `out/runs/<id>` */
  readonly folder: string
  /** `out` */
  readonly outFolder: string
}

/** A run's place, named by when it began, so that a listing is in order. */
export function placeRun(outFolder: string, variant: string, startedAt: Date): RunPlace {
  const stamp = startedAt.toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const id = `${stamp}-${variant}-${process.pid}`
  return { id, folder: join(outFolder, 'runs', id), outFolder }
}

/** Says in a folder that it is ours, for whoever is asked to remove things from it. */
export async function markOutput(outFolder: string): Promise<void> {
  await writeFile(
    join(outFolder, outputMark),
    'Written to by systemvm-image; see `systemvm-image clean --help`.\n',
  )
}

const outputMark = '.systemvm-image'

/** Whether a folder was ever built in. */
export async function isOutput(outFolder: string): Promise<boolean> {
  return (await stat(join(outFolder, outputMark)).catch(() => undefined)) !== undefined
}

/** How the folders begin that a run makes outside of `out/`. */
export const temporaryPrefix = 'systemvm-image-'
