/** What is known beforehand of an image that is to be verified. */

import type { Partition } from '../config/image.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { Registered } from '../export/registration.ts'

/** What the pipeline has promised of an image. Of a foreign one nothing is known but CloudStack's customs. */
export interface Expected {
  readonly account: string
  readonly release?: string
  readonly hostname?: string
  readonly diskBytes?: number
  readonly partitions?: readonly Partition[]
  readonly formats?: PipelineFields['formats']
  /** What decides under which names it is registered. */
  readonly registered?: Registered
}

/** What a pipeline promises of its image. */
export function expectationsOf(image: ResolvedImage): Expected {
  return {
    account: image.account.name,
    release: image.release,
    hostname: image.hostname,
    diskBytes: image.disk.sizeMiB * 1024 ** 2,
    partitions: image.disk.partitions,
    formats: image.formats,
    registered: {
      release: image.release,
      arch: image.arch,
      ...(image.label !== undefined && { label: image.label }),
    },
  }
}

/** Of an image that somebody else has built, only CloudStack's customs are known. */
export const foreignExpectations: Expected = { account: 'cloud' }
