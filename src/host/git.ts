/** Git's view of a folder: its commit, and its uncommitted changes. */

import { realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { exitCodes, PipelineError } from '../errors.ts'
import { bareEnvironment } from './bare-environment.ts'
import { execa } from './execa.ts'
import { makeFolder } from './files.ts'

/** The state of a checkout. */
export interface Source {
  /** Full hash of the commit. */
  readonly commit: string
  /** Paths that are modified or untracked, relative to the top; without ignored ones. */
  readonly changed: readonly string[]
  /** Where it is published, without a login; absent if `origin` is not a network URL. */
  readonly repository?: string
}

/**
 * The checkout that contains a folder; undefined if there is none, or no Git.
 * @param output a folder that never counts as source, wherever it is
 * @throws PipelineError `git-refused`
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

/** A remote without its login and tokens; undefined for a local path, which is private. */
function publicUrl(remote: string): string | undefined {
  const [, host, path] = /^[\w.-]+@([\w.-]+):(.+)$/.exec(remote) ?? []
  const text = host === undefined ? remote : `ssh://${host}/${path}`
  if (!/^(https?|ssh|git):\/\//.test(text)) return undefined
  try {
    const url = new URL(text)
    // A password with a slash in it looks like a port and a path.
    if (url.pathname.includes('@')) return undefined
    return Object.assign(url, { username: '', password: '', search: '', hash: '' }).href
  } catch {
    // Git may accept it, but there is no telling which part of it is a login.
    return undefined
  }
}

/**
 * The checkout that contains a file, and the file's path in it; undefined outside a checkout.
 * @throws PipelineError `git-refused`
 */
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
      hint: 'name a commit, branch or tag that exists; a shallow clone lacks most of them (git fetch --unshallow).',
      exitCode: exitCodes.badInput,
    })
  }
  await makeFolder(folder)
  const archive = execa('git', ['-C', top, 'archive', '--format=tar', commit.trim()], {
    buffer: { stdout: false },
    ...gitEnvironment(),
  })
  await Promise.all([archive, archive.pipe('tar', ['-x', '-C', folder], bareEnvironment())])
}

/**
 * In a hook, GIT_DIR and others name the repository of the hook, and Git would describe that one. `git replace` gives a commit
 * another tree than the one that its hash stands for. Proxies and SSH stay, since Git fetches what a partial clone lacks.
 */
function gitEnvironment() {
  const isPassed = (name: string) =>
    /^(HOME|XDG_CONFIG_HOME|SUDO_UID|SSH_AUTH_SOCK|GIT_(CONFIG_(?!PARAMETERS)|SSH).*|(all|no|https?)_proxy)$/i.test(
      name,
    )
  const passed = Object.entries(process.env).filter(
    (pair): pair is [string, string] => isPassed(pair[0]) && pair[1] !== undefined,
  )
  // A `git status` that updates the index would block concurrent commits.
  const own = { GIT_OPTIONAL_LOCKS: '0', GIT_NO_REPLACE_OBJECTS: '1' }
  return bareEnvironment({ ...Object.fromEntries(passed), ...own })
}

/** Git's output; undefined if it fails. @throws PipelineError `git-refused` for a checkout of another user */
async function git(folder: string, ...words: string[]): Promise<string | undefined> {
  const { exitCode, stdout, stderr } = await execa('git', ['-C', folder, ...words], {
    reject: false,
    timeout: 60_000,
    stripFinalNewline: false,
    ...gitEnvironment(),
  })
  if (exitCode === 0) return stdout
  if (stderr?.includes('dubious ownership') === true) throw refused(folder, stderr)
  return undefined
}

/** Git ignores other users' settings, so it refuses whole checkouts in containers and CI. */
function refused(folder: string, stderr: string): PipelineError {
  const lines = stderr.split('\n').map((line) => line.trim())
  const why = lines.find((line) => line.includes('dubious ownership')) ?? ''
  const advice = lines.find((line) => line.startsWith('git config'))
  return new PipelineError({
    code: 'git-refused',
    message: `Git does not read the checkout of ${folder}: ${why.replace('fatal: ', '')}`,
    hint: `take ownership of it, or trust it: ${advice ?? `git config --global --add safe.directory ${folder}`}`,
    exitCode: exitCodes.hostNotFit,
  })
}
