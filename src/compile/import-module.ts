/** Imports a TypeScript module that a user names, such as a `pipeline.ts`. */

import { createHash } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Message, Plugin } from 'esbuild'
import { renderPlace } from '../text.ts'
import { createSourceCheck } from './plain-sources.ts'
import { makeImportedFolder, programFolder, sourceFolder } from './program.js'

/** A module that does not compile. `message` names the file, line, and column, and quotes the source line. */
export class CompilationError extends Error {}

/**
 * Imports a module and everything it imports by relative paths. This program's own modules are shared with it.
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
 * The same for a module that may have changed since its last import, or that imports one that has. Even this program's own
 * pipeline and its stages are read again.
 * @param onSource called with the path of each source file, even if it does not compile
 * @throws CompilationError
 */
export async function importAgain(path: string, onSource: (path: string) => void): Promise<unknown> {
  const folder = programFolder()
  if (folder === undefined) throw new Error('nothing is compiled here')
  return importBundle(path, folder, engine, onSource)
}

/** Modules of this program that a pipeline shares: all of them for a single import, only the engine for repeated imports. */
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

/** @param imported folder for the bundle, to which the paths in its source map are relative */
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

/** The entry points of this package and their modules: a pipeline gets them from the program that runs it. */
const entryPoints: Readonly<Record<string, string>> = {
  'systemvm-image': 'src/api.js',
  'systemvm-image/stages': 'provisioners/stages.js',
}

/** Leaves this program's modules and packages out of the bundle; each is imported by the URL of its file. */
const outsideOfBundle = (folder: string, shared: RegExp, onSource: (path: string) => void): Plugin => ({
  name: 'outside-of-bundle',
  setup({ onResolve, resolve: find }) {
    const looking = { looking: true }
    const faultOf = createSourceCheck()
    const refuse = (text: string) => ({ errors: [{ text }] })
    onResolve({ filter: /.*/ }, async ({ path, kind, resolveDir, importer, pluginData }) => {
      if (kind === 'entry-point') onSource(path)
      const isLocal = kind === 'entry-point' || path.startsWith('.') || path.startsWith(sep)
      const fault = isLocal && pluginData !== looking ? await faultOf(resolve(resolveDir, path)) : undefined
      if (fault !== undefined) {
        onSource(resolve(resolveDir, path))
        return refuse(fault)
      }
      if (kind === 'entry-point' || pluginData === looking || path.startsWith('node:')) return undefined
      const entry = entryPoints[path]
      if (entry !== undefined) return { path: pathToFileURL(join(folder, entry)).href, external: true }
      const found = await find(path, { kind, resolveDir, importer, pluginData: looking })
      if (found.errors.length > 0 || found.external) return found
      const own = moduleOf(found.path, folder, shared)
      if (own !== undefined) return { path: own, external: true }
      const isPackage = !isLocal
      // Node.js does not run TypeScript in packages.
      if (isPackage && !/\.[cm]?ts$/.test(found.path))
        return { path: pathToFileURL(found.path).href, external: true }
      onSource(found.path)
      const foundFault = await faultOf(found.path)
      return foundFault === undefined ? found : refuse(foundFault)
    })
  },
})
