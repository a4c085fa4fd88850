/** Git's view of a folder: its commit, and its uncommitted changes. */

import { mkdir, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { exitCodes, PipelineError } from '../errors.ts'

/** The state of a checkout. */
export interface Source {
  /** Full hash of the commit. */
  readonly commit: string
  /** Paths that are modified or untracked, relative to the top; ignored ones are left out. */
  readonly changed: readonly string[]
  /** Where it is published, without a user and password; absent if `origin` is not a network URL. */
  readonly repository?: string
}

/**
 * The checkout that contains a folder; undefined if there is none, or no Git.
 * @param output folder whose content is not source, wherever it is
 */
export async function describeSource(folder: string, output: string): Promise<Source | undefined> {
  const top = (await git(folder, 'rev-parse', '--show-toplevel'))?.trim()
  if (top === undefined) return undefined
  const inside = relative(await realpath(top), await realpath(output).catch(() => output))
  const isInside = inside !== '' && !inside.startsWith('..')
  const paths = ['--', '.', ...(isInside ? [`:(exclude,literal)${inside}`] : [])]
  const [commit, status, remote] = await Promise.all([
    git(folder, 'rev-parse', 'HEAD'),
    git(top, 'status', '--porcelain=v1', '-z', '--no-renames', '--untracked-files=all', ...paths),
    git(folder, 'remote', 'get-url', 'origin'),
  ])
  if (commit === undefined || status === undefined) return undefined
  const changed = status
    .split('\0')
    .filter(Boolean)
    .map((line) => line.slice(3))
  const repository = publicUrl(remote?.trim() ?? '')
  return { commit: commit.trim(), changed, ...(repository === undefined ? {} : { repository }) }
}

/** A remote without its login; undefined if it is a local path, which is private. */
function publicUrl(remote: string): string | undefined {
  const [, host, path] = /^[\w.-]+@([\w.-]+):(.+)$/.exec(remote) ?? []
  if (host !== undefined && path !== undefined) return `ssh://${host}/${path}`
  return /^(https?|ssh|git):\/\//.test(remote) ? remote.replace(/^(\w+:\/\/)[^/@]*@/, '$1') : undefined
}

/** The checkout that contains a file, and the file's path in it; undefined outside of one. */
export async function findCheckout(
  file: string,
): Promise<{ readonly top: string; readonly path: string } | undefined> {
  const real = await realpath(file)
  const top = (await git(join(real, '..'), 'rev-parse', '--show-toplevel'))?.trim()
  return top === undefined ? undefined : { top, path: relative(top, real) }
}

/**
 * Writes the tree of a revision into a new, empty folder.
 * @throws PipelineError `unknown-revision`
 */
export async function writeTree(top: string, revision: string, folder: string): Promise<void> {
  const commit = await git(
    top,
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${revision}^{commit}`,
  )
  if (commit === undefined) {
    throw new PipelineError({
      code: 'unknown-revision',
      message: `${top} has no revision ${JSON.stringify(revision)}`,
      hint: 'name a commit, branch or tag that is there; a shallow clone lacks most of them (git fetch --unshallow).',
      exitCode: exitCodes.badInput,
    })
  }
  await mkdir(folder, { recursive: true })
  const archive = execa('git', ['-C', top, 'archive', '--format=tar', commit.trim()], { encoding: 'buffer' })
  await Promise.all([archive, archive.pipe('tar', ['-x', '-C', folder])])
}

/** Git's output; undefined if it fails. */
async function git(folder: string, ...words: string[]): Promise<string | undefined> {
  const { exitCode, stdout } = await execa('git', ['-C', folder, ...words], {
    reject: false,
    timeout: 60_000,
    stripFinalNewline: false,
    // A status that updates the index would block concurrent commits.
    env: { GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' },
  })
  return exitCode === 0 ? stdout : undefined
}
