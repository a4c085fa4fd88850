/** `init`: creates the repository of a small appliance from the one in `examples/`. */

import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { isPackage, sourceFolder } from '../compile/program.js'
import { exitCodes, PipelineError } from '../errors.ts'
import { NotReadable, readRegularText } from '../host/regular-file.ts'
import { mergePackage, noPackage, ownDependency } from './init-package.ts'
import type { Terminal } from './terminal.ts'
import type { Choose } from './verb.ts'

const example = fileURLToPath(new URL('../../examples/debian-cloud/', import.meta.url))

/** Leftovers of a build or `npm install`, which are never copied. */
const leftovers = ['node_modules', 'out']

export function initCommand(command: Command, terminal: Terminal, choose: Choose): void {
  command
    .argument('[folder]', 'where to create it; an existing package.json is completed', '.')
    .action((folder: string) => choose(() => init(resolvePath(folder), terminal)))
}

async function init(folder: string, terminal: Terminal): Promise<number> {
  const files = (await listFiles('')).filter((path) => path !== 'package.json')
  const taken = await findTaken(folder, files.map(placeOf))
  if (taken.length > 0) {
    throw new PipelineError({
      code: 'folder-in-use',
      message: `${folder} already has ${taken.join(', ')}`,
      hint: 'name another folder; nothing was written.',
      exitCode: exitCodes.badInput,
    })
  }
  const packageFile = join(folder, 'package.json')
  const existing = existsSync(packageFile) ? await readPackage(packageFile) : '{}'
  const merged = mergePackage({
    template: await readFile(join(example, 'package.json'), 'utf8'),
    existing,
    file: packageFile,
    name: basename(folder),
    dependency: await ownDependency(folder),
  })
  for (const path of files) {
    const target = join(folder, placeOf(path))
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, await readFile(join(example, path)), { flag: 'wx' })
  }
  await writeFile(packageFile, merged)
  terminal.out(`${[...files.map(placeOf), 'package.json'].sort().join('\n')}\n`)
  terminal.error(renderNextSteps(folder))
  return exitCodes.ok
}

async function readPackage(file: string): Promise<string> {
  return await readRegularText(file).catch((cause: unknown) => {
    throw cause instanceof NotReadable ? noPackage(file) : cause
  })
}

/** Those of the paths that exist in a folder, and all symlinks on the way to them: nothing is written through a link. */
async function findTaken(folder: string, paths: readonly string[]): Promise<readonly string[]> {
  const find = (path: string) => lstat(join(folder, path)).catch(() => undefined)
  const above = new Set(['package.json', ...paths.flatMap(foldersAbove)])
  const links: string[] = []
  for (const path of above) if ((await find(path))?.isSymbolicLink()) links.push(`${path}, a link`)
  const there: string[] = []
  for (const path of paths) if ((await find(path)) !== undefined) there.push(path)
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

/** npm puts no `.gitignore` into a package. */
function placeOf(path: string): string {
  return path.replace(/^_gitignore$/, '.gitignore')
}

function renderNextSteps(folder: string): string {
  const enter = folder === process.cwd() ? [] : [`  cd ${folder}`]
  // An appliance depends on the package, which a clone has to pack first.
  const pack = isPackage ? [] : [`  (cd ${resolvePath(sourceFolder())} && npm pack)`]
  return [
    `✔ created an appliance in ${folder}`,
    ...enter,
    ...pack,
    '  npm install                the compiler, and its types',
    '  npm test                   the plan and the scripts, in seconds',
    '  npm run setup              the programs of this host: Packer, QEMU, mmdebstrap',
    '  npm run build:image        the image, in out/images',
    '',
  ].join('\n')
}
