/**
 * Before `npm pack`: writes `dist/`, laid out as the clone is, with JavaScript and type declarations instead of TypeScript. `--clean`
 * removes it afterwards, so that nobody runs an old one.
 */

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const clone = fileURLToPath(new URL('../..', import.meta.url))
const dist = join(clone, 'dist')

/** What modules find beside them. Examples stay TypeScript: `init` copies them. */
const resources = ['bin', 'examples', 'src', 'templates']

rmSync(dist, { recursive: true, force: true })
if (!process.argv.includes('--clean')) {
  for (const path of resources) cpSync(join(clone, path), join(dist, path), { recursive: true, filter })
  compile('tsconfig.package.json')
  compile('tsconfig.package-types.json')
  // Plain JavaScript runs as it is written.
  cpSync(join(clone, 'src'), join(dist, 'src'), { recursive: true, filter })
  copyScripts()
  const { version } = readJson('package.json')
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ version, type: 'module' })}\n`)
  // npm leaves it out at the top; verdicts on images depend on the versions in it.
  cpSync(join(clone, 'package-lock.json'), join(dist, 'package-lock.json'))
}

/** @param {string} path */
function filter(path) {
  const isSource = path.endsWith('.ts') && !path.startsWith(join(clone, 'examples'))
  return !isSource && !/\/(__pycache__|node_modules|out)$/.test(path)
}

/** @param {string} project */
function compile(project) {
  const tsc = join(clone, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', join(clone, project)], { stdio: 'inherit' })
}

/** Copies the script of each stage that was compiled. */
function copyScripts() {
  for (const name of readdirSync(join(dist, 'provisioners'))) {
    const script = join('provisioners', name.replace(/(\.d)?\.[jt]s$/, '.sh'))
    if (existsSync(join(clone, script))) cpSync(join(clone, script), join(dist, script))
  }
}

/** @param {string} path */
function readJson(path) {
  return JSON.parse(readFileSync(join(clone, path), 'utf8'))
}
