/** Provides the files of stages: unpacks tarballs, and downloads those given as URLs. Folders stay where they are. */

import { configurationError, type Fault, formatFound } from '../config/faults.ts'
import type { ResolvedImage, ResolvedStage } from '../config/resolved.ts'
import { type Missing, provideSource } from './provide-source.ts'
import { SourceFault } from './source-fault.ts'

/**
 * Returns the same images, with the files of every stage as folders.
 * @param cache where tarballs are kept and unpacked, by checksum
 * @param missing what to do about URLs that are not in the cache
 * @throws PipelineError `configuration` with every fault found; `mirror-unreachable`
 */
export async function provideFiles(
  images: readonly ResolvedImage[],
  cache: string,
  missing: Missing = 'download',
  signal?: AbortSignal,
): Promise<readonly ResolvedImage[]> {
  const faults: Fault[] = []
  // Variants share their files.
  const folders = new Map<string, Promise<string | undefined>>()
  const provide = async (
    stage: ResolvedStage,
    { sourceDateEpoch }: ResolvedImage,
  ): Promise<ResolvedStage> => {
    const files: Record<string, string> = {}
    const absent: string[] = []
    for (const [name, text] of Object.entries(stage.files)) {
      try {
        const form = { kind: stage.fileKinds[name] ?? 'tree', top: stage.filesTop[name], sourceDateEpoch }
        const key = JSON.stringify([text, form])
        const folder = folders.get(key) ?? provideSource(text, form, cache, missing, signal)
        folders.set(key, folder)
        const provided = await folder
        if (provided === undefined) absent.push(name)
        else files[name] = provided
      } catch (error) {
        if (!(error instanceof SourceFault)) throw error
        faults.push({
          path: `stages.${stage.name}.files.${name}`,
          rule: error.message,
          found: formatFound(text),
        })
      }
    }
    return { ...stage, files, absent }
  }
  const provided = []
  for (const image of images) {
    const stages = []
    for (const stage of image.stages) stages.push(await provide(stage, image))
    provided.push({ ...image, stages })
  }
  const different = new Map(faults.map((fault) => [JSON.stringify(fault), fault]))
  if (different.size > 0) throw configurationError([...different.values()])
  return provided
}
