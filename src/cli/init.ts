/** `init`: creates the repository of a small appliance from the one in `examples/`. */

import { existsSync } from 'node:fs'
import { lstat, readdir, readFile, rm } from 'node:fs/promises'
import { basename, dirname, join, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { isPackage, sourceFolder } from '../compile/program.js'
import { exitCodes, PipelineError } from '../errors.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { NotReadable, readRegularText } from '../host/regular-file.ts'
import { mergePackage, ownDependency } from './init-package.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

const example = fileURLToPath(new URL('../../examples/debian-cloud/', import.meta.url))

/** Leftovers of a build or `npm install`, which are never copied. */
const leftovers = ['node_modules', 'out']

/**
 * Files of the example whose lines or fields complete those that the folder has, and the names that they get: npm puts no
 * `.gitignore` into a package.
 */
const completed: Readonly<Record<string, string>> = {
  _gitignore: '.gitignore',
  'package.json': 'package.json',
}

/** Kept as it is if the folder has one. */
const readme = 'README.md'

export function initCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument(
      '[folder]',
      'where to create it; an existing package.json or .gitignore is completed, a README.md kept',
      '.',
    )
    .action((folder: string) => choose(() => init(resolvePath(folder), terminal)))
}

async function init(folder: string, terminal: Terminal): Promise<number> {
  const files = (await listFiles('')).filter((path) => !(path in completed))
  const taken = await findTaken(folder, files)
  if (taken.length > 0)
    throw inUse(`${folder} already has ${taken.join(', ')}`, 'name another folder; nothing was written.')
  const packageFile = join(folder, 'package.json')
  const merged = mergePackage({
    template: await readFile(join(example, 'package.json'), 'utf8'),
    existing: (await readExisting(packageFile)) ?? '{}',
    file: packageFile,
    name: basename(folder),
    dependency: await ownDependency(folder),
  })
  const ignored = completeLines(
    (await readExisting(join(folder, '.gitignore'))) ?? '',
    await readFile(join(example, '_gitignore'), 'utf8'),
  )
  const isKept = await isThere(folder, readme)
  const created = isKept ? files.filter((path) => path !== readme) : files
  try {
    for (const path of created) {
      await makeFolder(dirname(join(folder, path)))
      await writeDurably(join(folder, path), await readFile(join(example, path)))
    }
    await writeDurably(join(folder, '.gitignore'), ignored)
    await writeDurably(packageFile, merged)
  } catch (error) {
    // On a full disk, for example: none of them was there before, and another try would refuse them.
    for (const path of created) await rm(join(folder, path), { force: true })
    throw error
  }
  terminal.out(`${[...created, ...Object.values(completed)].sort().join('\n')}\n`)
  terminal.error(renderNextSteps(folder, isKept))
  return exitCodes.ok
}

function inUse(message: string, hint: string): PipelineError {
  return new PipelineError({ code: 'folder-in-use', message, hint, exitCode: exitCodes.badInput })
}

/** Undefined if there is no such file. */
async function readExisting(file: string): Promise<string | undefined> {
  if (!existsSync(file)) return undefined
  return await readRegularText(file).catch((cause: unknown) => {
    if (!(cause instanceof NotReadable)) throw cause
    throw inUse(`${file} is not a text file`, 'correct it, or name another folder; nothing was written.')
  })
}

/** Adds the lines of the template that a text does not have. */
function completeLines(text: string, template: string): string {
  const there = text.split(/\r?\n/)
  const missing = template.split('\n').filter((line) => line !== '' && !there.includes(line))
  const separator = text === '' || text.endsWith('\n') ? '' : '\n'
  return `${text}${separator}${missing.map((line) => `${line}\n`).join('')}`
}

const find = (folder: string, path: string) => lstat(join(folder, path)).catch(() => undefined)

const isThere = async (folder: string, path: string) => (await find(folder, path)) !== undefined

/**
 * Those of the paths that exist in a folder, except what it may have, and all symlinks on the way to them: nothing is written
 * through a link.
 */
async function findTaken(folder: string, paths: readonly string[]): Promise<readonly string[]> {
  const above = new Set([...Object.values(completed), ...paths.flatMap(foldersAbove)])
  const links: string[] = []
  for (const path of above) if ((await find(folder, path))?.isSymbolicLink()) links.push(`${path}, a link`)
  const there: string[] = []
  for (const path of paths) if (path !== readme && (await isThere(folder, path))) there.push(path)
  return [...there, ...links]
}

/** `a/b/c` → `a`, `a/b` */
function foldersAbove(path: string): readonly string[] {
  const names = path.split('/').slice(0, -1)
  return names.map((_, index) => names.slice(0, index + 1).join('/'))
}

async function listFiles(below: string): Promise<readonly string[]> {
  const entries = await readdir(join(example, below), { withFileTypes: true })
  const kept = entries.filter(({ name }) => !leftovers.includes(name))
  const lists = kept.map((entry) => {
    const path = join(below, entry.name)
    return entry.isDirectory() ? listFiles(path) : [path]
  })
  return (await Promise.all(lists)).flat()
}

function renderNextSteps(folder: string, isReadmeKept: boolean): string {
  const enter = folder === process.cwd() ? [] : [`  cd ${folder}`]
  // An appliance depends on the package, which a clone has to pack first.
  const pack = isPackage ? [] : [`  (cd ${resolvePath(sourceFolder())} && npm pack)`]
  const kept = isReadmeKept ? [`  ${readme} is kept; the example's is ${join(example, readme)}`] : []
  return [
    `✔ created an appliance in ${folder}`,
    ...kept,
    ...enter,
    ...pack,
    '  npm install                the compiler, and its types',
    '  npm test                   the plan and the scripts, in seconds',
    '  npm run setup -- --yes     the programs of this host: Packer, QEMU, mmdebstrap',
    '  npm run build:image        the image, in out/images',
    '',
  ].join('\n')
}
