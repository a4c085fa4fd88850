/** Imports a TypeScript module that a user names, such as a `pipeline.ts`. */

import { createHash } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Message, Plugin } from 'esbuild'
import { renderPlace } from '../text.ts'
import { makeImportedFolder, programFolder, sourceFolder } from './program.js'

/** A module that does not compile. `message` names file, line, and column, and shows the text there. */
export class CompilationError extends Error {}

/**
 * Imports a module with what it imports by relative paths. It shares the modules of this program with the program itself.
 * @param path absolute
 * @throws CompilationError
 */
export async function importModule(path: string): Promise<unknown> {
  const folder = programFolder()
  if (folder === undefined) return import(pathToFileURL(path).href)
  const own = moduleOf(path, folder, ownModules)
  return own === undefined ? importBundle(path, folder, ownModules, () => undefined) : import(own)
}

/**
 * The same for a module that may have changed since it was imported, like what it imports: a pipeline of this program's own is
 * read again too, and so are its stages.
 * @param onSource called with the path of each file that it is made from, also if it does not compile
 * @throws CompilationError
 */
export async function importAgain(path: string, onSource: (path: string) => void): Promise<unknown> {
  const folder = programFolder()
  if (folder === undefined) throw new Error('nothing is compiled here')
  return importBundle(path, folder, engine, onSource)
}

/** The modules that this program shares with a pipeline: those that are loaded once, and what never changes under it. */
const ownModules = /^(pipeline\.ts|(provisioners|src)\/.*\.ts)$/
const engine = /^src\/.*\.ts$/

async function importBundle(
  path: string,
  folder: string,
  shared: RegExp,
  onSource: (path: string) => void,
): Promise<unknown> {
  const imported = makeImportedFolder(folder)
  const written = await writeModule(await bundle(path, folder, imported, shared, onSource), imported)
  return import(pathToFileURL(written).href)
}

async function writeModule(text: string, folder: string): Promise<string> {
  const name = `${createHash('sha256').update(text).digest('hex').slice(0, 32)}.mjs`
  const path = join(folder, name)
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, text)
  await rename(unfinished, path)
  return path
}

/** URL of the compiled module of a source of this program; undefined for any file that is not shared. */
function moduleOf(path: string, folder: string, shared: RegExp): string | undefined {
  const inside = relative(sourceFolder(), path)
  if (inside.startsWith('..') || !shared.test(inside)) return undefined
  return pathToFileURL(resolve(folder, inside.replace(/\.ts$/, '.js'))).href
}

/** @param imported folder for the bundle, which its source map starts from */
async function bundle(
  path: string,
  folder: string,
  imported: string,
  shared: RegExp,
  onSource: (path: string) => void,
): Promise<string> {
  const { commonOptions, sourceUrls } = await import('./sources.js')
  const { build } = await import('esbuild')
  try {
    const { outputFiles } = await build({
      ...commonOptions,
      entryPoints: [path],
      outfile: join(imported, 'module.mjs'),
      write: false,
      sourcemap: 'inline',
      sourcesContent: false,
      plugins: [outsideOfBundle(folder, shared, onSource), sourceUrls],
    })
    return outputFiles[0]?.text ?? ''
  } catch (error) {
    const { errors } = error as BuildFailure
    if (errors === undefined) throw error
    throw new CompilationError(errors.map(describe).join('\n'), { cause: error })
  }
}

function describe({ text, location }: Message): string {
  if (location === null) return text
  const { file, line, column, length, lineText } = location
  return `${text}\n${renderPlace(file, { line, column: column + 1, text: lineText, length })}`
}

/** What this package offers, and the module of each: a pipeline gets them from the program that runs it. */
const entryPoints: Readonly<Record<string, string>> = {
  'systemvm-image': 'src/api.js',
  'systemvm-image/stages': 'provisioners/stages.js',
}

/** Modules of this program and packages, each imported by the URL of its file. */
const outsideOfBundle = (folder: string, shared: RegExp, onSource: (path: string) => void): Plugin => ({
  name: 'outside-of-bundle',
  setup({ onResolve, resolve: find }) {
    const looking = { looking: true }
    onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
      if (kind === 'entry-point') onSource(path)
      if (kind === 'entry-point' || pluginData === looking || path.startsWith('node:')) return undefined
      const entry = entryPoints[path]
      if (entry !== undefined) return { path: pathToFileURL(join(folder, entry)).href, external: true }
      const found = await find(path, { kind, resolveDir, importer, pluginData: looking })
      if (found.errors.length > 0 || found.external) return found
      const own = moduleOf(found.path, folder, shared)
      if (own !== undefined) return { path: own, external: true }
      const isPackage = !path.startsWith('.') && !path.startsWith(sep)
      // Node.js runs no TypeScript of packages.
      if (isPackage && !/\.[cm]?ts$/.test(found.path))
        return { path: pathToFileURL(found.path).href, external: true }
      onSource(found.path)
      return found
    })
  },
})
