/** How a released disk differs from its rebuild, and which layer of the build each difference starts in. */

import { stat } from 'node:fs/promises'
import { join, resolve as resolvePath } from 'node:path'
import { divideByLayer, type PathsOfLayer, pathsOf } from '../diff/layers-of-paths.ts'
import { type DiffReport, reportDifference } from '../diff/report.ts'
import { sourceOf } from '../diff/sources.ts'
import { withDisks } from '../diff/with-disks.ts'
import { openDisk } from '../disk/disk-files.ts'
import { formatByEnding } from '../disk/disk-format.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { inWorkFolder } from '../host/work-folder.ts'
import { isIdentical, type RebuiltVariant } from '../release/rebuild.ts'
import type { Report } from '../report/report.ts'
import { layersUpTo } from '../store/chain.ts'
import type { LayerKey } from '../store/layer-key.ts'
import { openStore } from '../store/store.ts'

export interface RebuiltDifference {
  /** Path of the released file. */
  readonly released: string
  /** Path of the rebuilt file. */
  readonly rebuilt: string
  readonly report: DiffReport
  /** Every path that differs, grouped by the layer of the build that it comes from; lowest layer first. */
  readonly layers: readonly PathsOfLayer[]
}

/**
 * Compares the disks of the first file that differs; all files of a variant have the same disk. Undefined if no file differs,
 * or if the release's own files are missing.
 * @param release folder of the release, or path of its record
 */
export async function findRebuiltDifference(
  release: string,
  { variant, report }: { readonly variant: RebuiltVariant; readonly report: Report },
  outFolder: string,
  signal: AbortSignal,
): Promise<RebuiltDifference | undefined> {
  if (!(await stat(release)).isDirectory()) return undefined
  const differing = variant.files.find((one) => !isIdentical(one) && formatByEnding(one.file) !== undefined)
  const image = report.images.find(({ target }) => target === differing?.target)
  if (differing === undefined || image === undefined) return undefined
  const [released, rebuilt] = [join(resolvePath(release), differing.file), join(outFolder, image.path)]
  const [before, after] = [diskIn(released), diskIn(rebuilt)]
  const difference = await withDisks([before, after], signal, (disks) => reportDifference(...disks, []))
  const layers = await divide(pathsOf(difference.difference), image.madeFrom as LayerKey, outFolder, signal)
  return { released, rebuilt, report: difference, layers }
}

// --- internal ---

function diskIn(file: string) {
  return { name: file, file, format: formatByEnding(file), backing: 'none' } as const
}

async function divide(
  paths: readonly string[],
  key: LayerKey,
  outFolder: string,
  signal: AbortSignal,
): Promise<readonly PathsOfLayer[]> {
  const store = openStore(outFolderAt(outFolder).store)
  const last = await store.find(key)
  if (last === undefined) return []
  const layers = await layersUpTo(last, store)
  return inWorkFolder((workFolder) =>
    divideByLayer(
      paths,
      layers.map((layer) => {
        const { file, format, backing } = sourceOf(layer, store)
        return { name: layer.name, open: () => openDisk(file, { format, backing, workFolder, signal }) }
      }),
    ),
  )
}
