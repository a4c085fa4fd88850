/** What is known in advance about an image to be verified. */

import type { Arch } from '../arch.ts'
import type { ContractName } from '../config/contract.ts'
import { type FileSource, parseFileSource } from '../config/file-source.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import type { ResolvedImage } from '../config/resolved.ts'
import type { ImageFiles } from '../disk/image-files.ts'
import type { Partition } from '../disk/layout.ts'
import type { Registered } from '../export/registration.ts'

/** What the pipeline promises about an image. A foreign image only has to follow CloudStack's customs. */
export interface Expected {
  readonly arch: Arch
  /** If absent, it is read from the disk. */
  readonly contract?: ContractName | 'none'
  readonly account: string
  readonly release?: string
  readonly hostname?: string
  readonly diskBytes?: number
  readonly partitions?: readonly Partition[]
  /** Whether its UEFI boot loader is signed. */
  readonly secureBoot?: boolean
  readonly formats?: PipelineFields['formats']
  /** Files outside any package that stages install unchanged, with their required checksums. */
  readonly downloads?: readonly FileSource[]
  /** The facts that determine the names it is registered under. */
  readonly registered?: Registered
}

/** What a pipeline promises about its image. */
export function expectationsOf(image: ResolvedImage): Expected {
  const { contract } = image.verification
  return {
    contract,
    arch: image.arch,
    account: image.account.name,
    release: image.release,
    hostname: image.hostname,
    diskBytes: image.disk.sizeMiB * 1024 ** 2,
    partitions: image.disk.partitions,
    ...(image.disk.secureBoot === undefined ? {} : { secureBoot: image.disk.secureBoot }),
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

/** An image built elsewhere only has to follow CloudStack's customs. */
export const foreignExpectations = (arch: Arch): Expected => ({ arch, account: 'cloud' })

/**
 * The contract of an image if none is named. An image that has never run contains scripts only if they are CloudStack's own.
 */
export async function contractOf(files: ImageFiles): Promise<ContractName> {
  const bootstrap = await files.stat('/opt/cloud/bin/setup/bootstrap.sh')
  return bootstrap === undefined ? 'cloudstack' : 'cloudstack-payload'
}
