/** How to make layer 0, as a person writes it: the name of an installer, or an existing disk image. */

import { stat } from 'node:fs/promises'
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { type Fault, formatFound } from './faults.ts'
import { type FileSource, faultOfSource, parseFileSource } from './file-source.ts'

/** Installers chosen by name alone. */
export const namedInstallers = ['bootstrap', 'debian-installer'] as const

export type NamedInstaller = (typeof namedInstallers)[number]

export type InstallerName = NamedInstaller | 'disk-image'

const image = z
  .string()
  .describe('Absolute path of a disk image, or a URL that ends in #sha256= or #sha512= and its checksum.')
  .check(({ value, issues }) => {
    const source = parseFileSource(value)
    const isPlain = source.isUrl || isAbsolute(value)
    const rule = isPlain
      ? faultOfSource(source, 'image')
      : 'must be an absolute path, or a URL with a checksum'
    if (rule !== undefined) issues.push({ code: 'custom', message: rule, input: value, continue: true })
  })

/** The value of `installer`. */
export const installerField = z.union([z.enum(namedInstallers), z.strictObject({ image })], {
  error: `must be ${namedInstallers.join(', ')}, or { image: … } with the path or the URL of a disk image`,
})

export type InstallerField = z.output<typeof installerField>

/** The installer that a value selects, and the image that it starts from, if any. */
export function resolveInstaller(field: InstallerField): {
  readonly installer: InstallerName
  readonly baseImage: FileSource | undefined
} {
  if (typeof field === 'string') return { installer: field, baseImage: undefined }
  return { installer: 'disk-image', baseImage: parseFileSource(field.image) }
}

/** Faults for base images that are missing local files. */
export async function baseImageFaults(
  images: readonly { readonly baseImage: FileSource | undefined }[],
): Promise<Fault[]> {
  const files = images.flatMap(({ baseImage }) => (baseImage?.isUrl === false ? [baseImage.location] : []))
  const faults = [...new Set(files)].map(async (location): Promise<Fault[]> => {
    if ((await stat(location).catch(() => undefined))?.isFile()) return []
    return [
      { path: 'installer.image', rule: 'must be a disk image that exists', found: formatFound(location) },
    ]
  })
  return (await Promise.all(faults)).flat()
}
