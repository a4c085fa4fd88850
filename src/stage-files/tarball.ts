/** Unpacks an untrusted tarball: only files, folders and links that stay inside it; otherwise nothing. */

import { isUtf8 } from 'node:buffer'
import { bareEnvironment } from '../host/bare-environment.ts'
import { execa } from '../host/execa.ts'
import { toolsMissing } from '../host/tools.ts'
import { takesMoreMemory, unpackingMiB, xzLimit } from '../host/unpacking.ts'
import { reasonIn } from '../text.ts'
import { escapeBytes, faultOfTree } from './tree-faults.ts'

/** tar runs xz by itself, which then gets its options from here; zstd has a limit of its own. */
const limits = () =>
  ({
    timeout: 120_000,
    reject: false,
    maxBuffer: 64 << 20,
    ...bareEnvironment({ XZ_DEFAULTS: xzLimit, XZ_OPT: xzLimit }),
  }) as const

/** First characters of `tar -tv` lines for a file, a folder, a symbolic link and a hard link. */
const harmlessTypes = ['-', 'd', 'l', 'h']

/**
 * Unpacks into an empty folder, without owners and set-user-id bits.
 * @returns what is wrong with the tarball, or undefined; after a fault, the folder is useless
 */
export async function unpackTarball(tarball: string, folder: string): Promise<string | undefined> {
  const list = (...options: string[]) =>
    // Escaping keeps a name that contains a line break on one line.
    execa('tar', ['--list', '--quoting-style=escape', ...options, '--file', tarball], limits())
  const names = await list()
  if (names.code === 'ENOENT') throw toolsMissing(['tar'])
  if (takesMoreMemory(names.stderr)) return `takes more memory to unpack than ${unpackingMiB} MiB`
  if (names.failed) return `is not a tarball that tar can read (${reasonIn(names.stderr)})`
  for (const name of names.stdout.split('\n').filter(Boolean)) {
    if (name.startsWith('/')) return `has the absolute name ${name} in it`
    if (name.split('/').includes('..')) return `has the name ${name} in it, which leads out of it`
    // Node could not even remove such a file again.
    if (!isUtf8(bytesOf(name))) return `has a name in it that is not UTF-8: ${escapeBytes(bytesOf(name))}`
  }
  const details = await list('--verbose')
  const strange = details.stdout
    .split('\n')
    .find((line) => line !== '' && !harmlessTypes.includes(line[0] ?? ''))
  if (strange !== undefined) return `contains something other than files, folders and links: ${strange}`
  const options = ['--no-same-owner', '--no-same-permissions', '--delay-directory-restore']
  const unpacked = await execa(
    'tar',
    ['--extract', ...options, '--file', tarball, '--directory', folder],
    limits(),
  )
  if (unpacked.failed) return `cannot be unpacked (${reasonIn(unpacked.stderr)})`
  return faultOfTree(folder)
}

/** The bytes of a name as `--quoting-style=escape` shows them in the C locale. */
function bytesOf(name: string): Buffer {
  const bytes = name.replaceAll(/\\([0-7]{3}|.)/gs, (_escape, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : code,
  )
  return Buffer.from(bytes, 'latin1')
}
