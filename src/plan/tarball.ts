/** Unpacks a tarball that somebody else made: as files, folders and links within it, or not at all. */

import { realpath } from 'node:fs/promises'
import { dirname, join, relative, resolve as resolvePath } from 'node:path'
import { execa } from 'execa'
import { listTree } from '../digest.ts'

const limits = { timeout: 120_000, reject: false, maxBuffer: 64 << 20, env: { LC_ALL: 'C' } } as const

/** How `tar -tv` begins the line of a file, a folder, a symbolic and a hard link. */
const harmlessTypes = ['-', 'd', 'l', 'h']

/**
 * Unpacks into an empty folder. Owners are not taken, set-user-id bits neither.
 * @returns what is wrong with the tarball, or nothing; then the folder is of no use
 */
export async function unpackTarball(tarball: string, folder: string): Promise<string | undefined> {
  const list = (...options: string[]) =>
    // A name with a line break is shown as one word.
    execa('tar', ['--list', '--quoting-style=escape', ...options, '--file', tarball], limits)
  const names = await list()
  if (names.failed) return `is no tarball that tar can read (${lastLine(names.stderr)})`
  for (const name of names.stdout.split('\n').filter(Boolean)) {
    if (name.startsWith('/')) return `has the absolute name ${name} in it`
    if (name.split('/').includes('..')) return `has the name ${name} in it, which leads out of it`
  }
  const details = await list('--verbose')
  const strange = details.stdout
    .split('\n')
    .find((line) => line !== '' && !harmlessTypes.includes(line[0] ?? ''))
  if (strange !== undefined) return `has something else than files, folders and links in it: ${strange}`
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

/** A link whose target is not below the folder. An absolute target is one of the guest's own paths, so below it. */
async function findEscapingLink(unresolved: string): Promise<string | undefined> {
  const folder = await realpath(unresolved)
  // Not by a recursive readdir, which follows links, and for ever if they lead back.
  for (const [name, entry] of Object.entries(await listTree(folder))) {
    if (!entry.startsWith('link ')) continue
    const target = entry.slice('link '.length)
    if (target.startsWith('/')) continue
    const path = join(folder, name)
    // As it is spelt, and as other links on its way make it.
    const ends = [resolvePath(dirname(path), target), await realpath(path).catch(() => folder)]
    if (ends.some((end) => relative(folder, end).split('/')[0] === '..')) return `${name} -> ${target}`
  }
  return undefined
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
