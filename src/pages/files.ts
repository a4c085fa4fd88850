/** What a run made: image files with their checksums, and the files that its stages promised. */

import { algorithms, type Checksums } from '../export/checksums.ts'
import { formatBytes, formatSeconds } from '../report/format.ts'
import type { Report } from '../report/report.ts'

export interface FilesView {
  readonly images: readonly ImageFileView[]
  readonly stages: readonly StageFilesView[]
  readonly count: number
}

interface ImageFileView {
  readonly target: string
  readonly format: string
  readonly path: string
  readonly size: string
  readonly facts: string
  readonly checksums: readonly ChecksumView[]
}

interface ChecksumView {
  readonly algorithm: string
  readonly value: string
}

interface StageFilesView {
  readonly name: string
  readonly rows: readonly {
    readonly path: string
    readonly type: string
    readonly mode: string
    readonly size: string
    readonly sha256: string
  }[]
}

export function viewFiles({ images, stages }: Report): FilesView {
  return {
    images: images.map((image) => ({
      target: image.target,
      format: image.format,
      path: image.path,
      size: formatBytes(image.sizeBytes),
      facts: [
        `disk of ${formatBytes(image.virtualSizeBytes)}`,
        ...(image.allocatedBytes < image.sizeBytes ? [`takes ${formatBytes(image.allocatedBytes)}`] : []),
        `made in ${formatSeconds(image.build_time)}`,
        `from layer ${image.madeFrom.slice(0, 12)}`,
      ].join('; '),
      checksums: viewChecksums(image),
    })),
    stages: stages
      .filter(({ artifacts }) => artifacts.length > 0)
      .map(({ name, artifacts }) => ({
        name,
        rows: artifacts.map(({ path, type, mode, sizeBytes, sha256 }) => ({
          path,
          type,
          mode,
          size: type === 'file' ? formatBytes(sizeBytes) : '',
          sha256,
        })),
      })),
    count: stages.reduce((sum, { artifacts }) => sum + artifacts.length, 0),
  }
}

export function viewChecksums(checksums: Checksums): readonly ChecksumView[] {
  return algorithms.map((algorithm) => ({ algorithm, value: checksums[algorithm] }))
}
