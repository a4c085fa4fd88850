/**
 * This program as JavaScript, which Node.js runs without a loader. Compiled modules are in the clone, in `.compiled/<digest
 * of the sources>`: a changed source is compiled again, and an existing folder is complete. The npm package has only modules.
 *
 * JavaScript itself, because it runs before anything is compiled.
 */

import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const clone = fileURLToPath(new URL('../..', import.meta.url))

/** Whether this is the npm package, which contains compiled modules. */
export const isPackage = !existsSync(join(clone, 'src/cli/main.ts'))

const dayMilliseconds = 24 * 60 * 60 * 1000

/**
 * Folder of this process's compiled modules, laid out like the clone; undefined if another compiler is at work, such as
 * vitest.
 * @type {string | undefined}
 */
let compiledFolder

/** @returns {string | undefined} `compiledFolder` */
export function programFolder() {
  return compiledFolder
}

/** The clone whose sources are compiled, or the module folder of the npm package. */
export function sourceFolder() {
  return clone
}

/**
 * Compiles whatever is not compiled yet; in the npm package, nothing.
 * @param {readonly string[]} roots files and folders of the clone
 * @returns {Promise<string>} folder of the modules
 * @throws esbuild's BuildFailure if a source cannot be compiled
 */
export async function compileProgram(roots = ['pipeline.ts', 'provisioners', 'src']) {
  if (isPackage) {
    compiledFolder = clone
    return clone
  }
  const sources = roots.flatMap(listSources)
  const parent = join(clone, '.compiled')
  const folder = join(parent, digestOf(sources))
  compiledFolder = isOurs(parent) && isOurs(folder) ? folder : await compileInto(parent, folder, sources)
  return compiledFolder
}

/**
 * @param {string} parent folder of all compilations of this clone
 * @param {string} folder final folder of the modules
 * @param {readonly string[]} sources paths in the clone
 */
async function compileInto(parent, folder, sources) {
  const { compileSources } = await import('./sources.js')
  const isTaken = existsSync(folder) && !isOurs(folder)
  const parentOrPrivate = isTaken ? makePrivateFolder() : makeFolder(parent)
  const unfinished = mkdtempSync(join(parentOrPrivate, 'unfinished-'))
  try {
    await compileSources(clone, sources, unfinished)
    // `mkdtemp` keeps other users out, but they use this clone too if they can read it.
    chmodSync(unfinished, statSync(parentOrPrivate).mode & 0o755)
    if (parentOrPrivate !== parent) return unfinished
    removeOld(parent)
    renameSync(unfinished, folder)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    // Another process may have compiled the same sources in the meantime.
    if (!isOurs(folder)) throw error
  }
  return folder
}

/** Makes the folder for users' modules. @param {string} program `programFolder` */
export function makeImportedFolder(program) {
  // Other processes share an installed package, and nothing would ever clean it up.
  return isPackage ? makePrivateFolder() : makeFolder(join(program, 'imported'))
}

/**
 * Makes a folder, or a private one if another user owns that location.
 * @param {string} wanted
 */
function makeFolder(wanted) {
  try {
    mkdirSync(wanted, { recursive: true })
    accessSync(wanted, constants.W_OK)
    return isOurs(wanted) ? wanted : makePrivateFolder()
  } catch (error) {
    const { code = '' } = /** @type {NodeJS.ErrnoException} */ (error)
    if (!['EACCES', 'EPERM', 'EROFS'].includes(code)) throw error
    return makePrivateFolder()
  }
}

/** Makes a folder that is removed when this process exits. Modules in it can import the packages of this clone. */
function makePrivateFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'systemvm-image-'))
  if (!isPackage) symlinkSync(join(clone, 'node_modules'), join(folder, 'node_modules'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Removes old compilations. A running program may still load modules, but none runs for a day. @param {string} parent */
function removeOld(parent) {
  for (const name of readdirSync(parent)) {
    const path = join(parent, name)
    if (Date.now() - statSync(path).mtimeMs > dayMilliseconds) rmSync(path, { recursive: true, force: true })
  }
}

/** @param {string} root @returns {string[]} */
function listSources(root) {
  if (root.endsWith('.ts')) return [root]
  return readdirSync(join(clone, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${root}/${entry.name}`
    if (entry.isDirectory()) return listSources(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })
}

/**
 * Everything that determines the modules: the sources, their location, and the compiler.
 * @param {readonly string[]} sources
 */
function digestOf(sources) {
  const hash = createHash('sha256').update(clone)
  for (const path of ['package-lock.json', 'src/compile/sources.js', ...sources])
    hash.update(`\0${path}\0`).update(readFileSync(join(clone, path)))
  return hash.digest('hex').slice(0, 32)
}

/**
 * Whether the modules in a folder can be read and are as trustworthy as the sources: it belongs to us, to root, or to whoever
 * owns the sources.
 * @param {string} path
 */
function isOurs(path) {
  const found = lstatSync(path, { throwIfNoEntry: false })
  const owners = [process.getuid?.(), 0, statSync(clone).uid]
  const isTrusted = found?.isDirectory() === true && owners.includes(found.uid) && (found.mode & 0o002) === 0
  return isTrusted && canEnter(path)
}

/** @param {string} path of a folder */
function canEnter(path) {
  try {
    accessSync(path, constants.R_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}
