/** Unpacks an untrusted tarball: only files, folders and links that stay inside it, or nothing. */

import { realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve as resolvePath } from 'node:path'
import { execa } from 'execa'
import { listTree } from '../digest.ts'

const limits = { timeout: 120_000, reject: false, maxBuffer: 64 << 20, env: { LC_ALL: 'C' } } as const

/** First characters of `tar -tv` lines for a file, a folder, a symbolic link and a hard link. */
const harmlessTypes = ['-', 'd', 'l', 'h']

/**
 * Unpacks into an empty folder, without owners and set-user-id bits.
 * @returns what is wrong with the tarball, or undefined; on a fault the folder is useless
 */
export async function unpackTarball(tarball: string, folder: string): Promise<string | undefined> {
  const list = (...options: string[]) =>
    // Escaping keeps a name with a line break on one line.
    execa('tar', ['--list', '--quoting-style=escape', ...options, '--file', tarball], limits)
  const names = await list()
  if (names.failed) return `is not a tarball that tar can read (${lastLine(names.stderr)})`
  for (const name of names.stdout.split('\n').filter(Boolean)) {
    if (name.startsWith('/')) return `has the absolute name ${name} in it`
    if (name.split('/').includes('..')) return `has the name ${name} in it, which leads out of it`
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
    limits,
  )
  if (unpacked.failed) return `cannot be unpacked (${lastLine(unpacked.stderr)})`
  const escaping = await findEscapingLink(folder)
  return escaping === undefined ? undefined : `has the link ${escaping} in it, which leads out of it`
}

/** A link whose target is not below the folder. Absolute targets are guest paths, so they are below it. */
async function findEscapingLink(unresolved: string): Promise<string | undefined> {
  const folder = await realpath(unresolved)
  // A recursive readdir would follow links, and never end if they form a loop.
  for (const [name, entry] of Object.entries(await listTree(folder))) {
    if (!entry.startsWith('link ')) continue
    const target = entry.slice('link '.length)
    if (target.startsWith('/')) continue
    const path = join(folder, name)
    // Checks the target as written, and as resolved through other links.
    const ends = [resolvePath(dirname(path), target), await realpath(path).catch(() => folder)]
    if (ends.some((end) => relative(folder, end).split('/')[0] === '..')) return `${name} -> ${target}`
  }
  return undefined
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
