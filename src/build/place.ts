/** Where a run keeps its files, and what it is called. */

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
