/** The folder of a release to publish: a valid record and lists, with images of arbitrary bytes. */

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { computeChecksums } from '../../src/export/checksums.ts'
import { renderList } from '../../src/release/checksum-lists.ts'
import { isOfPackages, type ReleaseImage, releaseFiles } from '../../src/release/record.ts'
import { makeSampleRelease } from './sample-release.ts'

const never = new AbortController().signal

export interface ReleaseContent {
  /** Bytes of images by name. @default one with 100 bytes for each file in the record */
  readonly images?: Readonly<Record<string, Buffer>>
  readonly signature?: string
  readonly release?: string
  readonly metadata?: string
  readonly name?: string
}

/** The same bytes for the same word. */
export function bytesOf(word: string, length: number): Buffer {
  const block = createHash('sha512').update(word).digest()
  return Buffer.alloc(length, block)
}

/** Writes a release, and returns the names of its files. */
export async function writeRelease(
  folder: string,
  { images, signature, release = '4.22.0', metadata, name }: ReleaseContent = {},
): Promise<readonly string[]> {
  mkdirSync(folder)
  const record = makeSampleRelease(3)
  const named = images ?? { 'systemvmtemplate-4.22.0-bookworm-kvm.qcow2': bytesOf('kvm', 100) }
  const known = new Set(record.variants.flatMap(({ files }) => files.map(({ file }) => file)))
  const more = Object.keys(named).filter((file) => !known.has(file) && !isOfPackages(file))
  const variants = record.variants.map((variant, index) => ({
    ...variant,
    files: [
      ...variant.files,
      ...(index === 0 ? more : []).map((file) => ({ ...(variant.files[0] as ReleaseImage), file })),
    ].map((one) => ({ ...one, sizeBytes: named[one.file]?.length ?? one.sizeBytes })),
  }))
  const described = { ...record, variants, name: name ?? record.name, release, exceptions: [] }
  const texts = {
    [releaseFiles.record]: JSON.stringify(described),
    [releaseFiles.notes]: '# Notes\n',
    [releaseFiles.metadata]: metadata ?? '[default]\nversion = 4.22.0.0\n',
    [releaseFiles.statement]: '{}',
  }
  const contents: Readonly<Record<string, Buffer | string>> = { ...named, ...texts }
  const checksums = new Map()
  for (const [name, bytes] of Object.entries(contents)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), bytes)
    checksums.set(name, await computeChecksums(join(folder, name), never))
  }
  for (const algorithm of ['md5', 'sha256', 'sha512'] as const)
    writeFileSync(join(folder, releaseFiles.checksums[algorithm]), renderList(checksums, algorithm))
  const lists = Object.values(releaseFiles.checksums)
  if (signature === undefined) return [...Object.keys(contents), ...lists]
  writeFileSync(join(folder, releaseFiles.signatures.ssh), signature)
  return [...Object.keys(contents), ...lists, releaseFiles.signatures.ssh]
}

/** What a reader would find wrong in what is published: faults of everything that a list names, if there is a list. */
export function faultsOf(files: ReadonlyMap<string, Buffer>): readonly string[] {
  const vouching = [
    ...Object.values(releaseFiles.checksums),
    releaseFiles.metadata,
    releaseFiles.signatures.ssh,
  ]
  if (!vouching.some((name) => files.has(name))) return []
  const list = files.get(releaseFiles.checksums.md5)
  const later = vouching.filter((name) => files.has(name))
  if (list === undefined) return later.map((name) => `${name} without ${releaseFiles.checksums.md5}`)
  return list
    .toString()
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [md5 = '', name = ''] = line.split('  ')
      // It comes after the list that names it; nobody acts on it before it is there.
      if (name === releaseFiles.metadata && !files.has(name)) return []
      const bytes = files.get(name)
      if (bytes === undefined) return [`${name} is missing`]
      return createHash('md5').update(bytes).digest('hex') === md5 ? [] : [`${name} is another file`]
    })
}
