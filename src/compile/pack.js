/**
 * Runs before `npm pack`: writes `dist/`, laid out like the clone, with JavaScript and type declarations instead of
 * TypeScript, and with the packages that the clone was tested with. Afterward, `--clean` removes it, so that nobody runs a
 * stale one.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compilePackage } from './sources.js'

const clone = fileURLToPath(new URL('../..', import.meta.url))
const dist = join(clone, 'dist')

/** Files that modules expect next to themselves. Examples stay TypeScript: `init` copies them. */
const resources = ['bin', 'examples', 'src', 'templates']

rmSync(dist, { recursive: true, force: true })
if (!process.argv.includes('--clean')) await write()

async function write() {
  for (const path of resources) cpSync(join(clone, path), join(dist, path), { recursive: true, filter })
  const { version, dependencies, devDependencies } = readJson('package.json')
  declareTypes()
  const sources = listFiles('src').filter((path) => path.endsWith('.ts'))
  const imported = importedBy(sources).filter(
    (name) => packageOf(name) in { ...dependencies, ...devDependencies },
  )
  // npm installs the others: their files differ between platforms, or users' modules share them.
  const bundled = imported.filter((name) => !(packageOf(name) in dependencies))
  const files = await compilePackage(clone, [...sources, ...stagesOfAnyAppliance()], dist, bundled)
  // The JSON schemas for bills of materials: their package reads them relative to its module's folder.
  const schemas = 'node_modules/@cyclonedx/cyclonedx-library/res/schema'
  cpSync(join(clone, schemas), join(dist, 'packages/res/schema'), { recursive: true })
  writeFileSync(join(dist, 'packages/LICENSES.txt'), collectLicenses(files))
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ version, type: 'module' })}\n`)
  // npm omits it at the top level, but verdicts on images depend on the versions in it.
  cpSync(join(clone, 'package-lock.json'), join(dist, 'package-lock.json'))
}

/** @param {string} path */
function filter(path) {
  if (path.startsWith(join(clone, 'examples'))) return !/\/(node_modules|out)$/.test(path)
  return !path.endsWith('.ts') && path !== fileURLToPath(import.meta.url)
}

/** Writes the declarations of the public interface and everything it refers to. */
function declareTypes() {
  const compiler = join(clone, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', join(clone, 'tsconfig.package.json')], { stdio: 'inherit' })
}

/** Modules of the public stages; their scripts are copied alongside. */
function stagesOfAnyAppliance() {
  const modules = readdirSync(join(dist, 'provisioners')).map(
    (name) => `provisioners/${name.replace('.d.ts', '')}`,
  )
  for (const path of modules) {
    if (existsSync(join(clone, `${path}.sh`))) cpSync(join(clone, `${path}.sh`), join(dist, `${path}.sh`))
  }
  return modules.map((path) => `${path}.ts`)
}

/** The package of a module, which may be a subpath such as `@smithy/core/config`. @param {string} name */
function packageOf(name) {
  return /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name
}

/** @param {readonly string[]} sources @returns {string[]} names of packages, their subpaths, and Node.js's own modules */
function importedBy(sources) {
  const names = sources.flatMap((path) =>
    [...read(path).matchAll(/(?:\bfrom |\bimport\()'([^.'][^']*)'/g)].map(([, name = '']) => name),
  )
  return [...new Set(names)].sort()
}

/** The licenses of the packages that these files, bundled into our modules, come from. @param {readonly string[]} files */
function collectLicenses(files) {
  const folders = files.map((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? '')
  const texts = [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = readJson(`${folder}/package.json`)
    const texts = readdirSync(join(clone, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile() && /^(licen[cs]e|notice)/i.test(entry.name))
      .map((entry) => read(`${folder}/${entry.name}`).trim())
    return [`${name} ${version}: ${license}`, ...texts].join('\n\n')
  })
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}

/** @param {string} folder @returns {string[]} */
function listFiles(folder) {
  return readdirSync(join(clone, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? listFiles(path) : [path]
  })
}

/** @param {string} path */
function read(path) {
  return readFileSync(join(clone, path), 'utf8')
}

/** @param {string} path */
function readJson(path) {
  return JSON.parse(read(path))
}
