/** What is known beforehand of an image that is to be verified. */

import type { ContractName } from '../config/contract.ts'
import { type FileSource, parseFileSource } from '../config/file-source.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { Partition } from '../disk/layout.ts'
import type { Registered } from '../export/registration.ts'
import type { ImageFiles } from './image-files.ts'

/** What the pipeline has promised of an image. Of a foreign one nothing is known but CloudStack's customs. */
export interface Expected {
  /** Absent: what is on the disk tells. */
  readonly contract?: ContractName
  readonly account: string
  readonly release?: string
  readonly hostname?: string
  readonly diskBytes?: number
  readonly partitions?: readonly Partition[]
  readonly formats?: PipelineFields['formats']
  /** Files of no package that stages have laid in as they are, with the sums that were demanded of them. */
  readonly downloads?: readonly FileSource[]
  /** What decides under which names it is registered. */
  readonly registered?: Registered
}

/** What a pipeline promises of its image. */
export function expectationsOf(image: ResolvedImage): Expected {
  const { contract } = image.verification
  return {
    ...(contract === 'none' ? {} : { contract }),
    account: image.account.name,
    release: image.release,
    hostname: image.hostname,
    diskBytes: image.disk.sizeMiB * 1024 ** 2,
    partitions: image.disk.partitions,
    formats: image.formats,
    downloads: image.stages.flatMap(({ sources, fileKinds }) =>
      Object.entries(sources).flatMap(([name, text]) =>
        fileKinds[name] === 'file' ? [parseFileSource(text)] : [],
      ),
    ),
    registered: {
      release: image.release,
      arch: image.arch,
      ...(image.label !== undefined && { label: image.label }),
    },
  }
}

/** Of an image that somebody else has built, only CloudStack's customs are known. */
export const foreignExpectations: Expected = { account: 'cloud' }

/** What an image of which nothing is said is held against: before it ever ran, only CloudStack's own scripts are in it. */
export async function contractOf(files: ImageFiles): Promise<ContractName> {
  const bootstrap = await files.stat('/opt/cloud/bin/setup/bootstrap.sh')
  return bootstrap === undefined ? 'cloudstack' : 'cloudstack-payload'
}
