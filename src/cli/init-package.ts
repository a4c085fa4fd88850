/** The `package.json` of a new appliance. */

import { basename, dirname, join, relative, resolve as resolvePath } from 'node:path'
import { z } from 'zod'
import { isPackage, sourceFolder } from '../compile/program.js'
import { exitCodes, PipelineError } from '../errors.ts'
import { readRegularText } from '../host/regular-file.ts'
import { parseJson } from '../text.ts'
import { programVersion } from '../version.ts'

const ownName = 'systemvm-image'

const texts = z.record(z.string(), z.string()).optional()

const packageSchema = z.looseObject({ scripts: texts, dependencies: texts, devDependencies: texts })

type Package = z.output<typeof packageSchema>

export interface MergeRequest {
  /** The example's `package.json`. */
  readonly template: string
  /** The folder's own `package.json`; `{}` if it has none. */
  readonly existing: string
  /** Path of the folder's own file, for error texts. */
  readonly file: string
  /** Name of the folder. */
  readonly name: string
  /** Where npm gets this program from, as written in `package.json`. */
  readonly dependency: string
}

/**
 * The text of the merged file. The folder's own values win, except that its modules become ES modules.
 * @throws PipelineError `folder-in-use` if its own file is not a package.json
 */
export function mergePackage({ template, existing, file, name, dependency }: MergeRequest): string {
  const base = packageSchema.parse(JSON.parse(template))
  const own = packageSchema.safeParse(parseJson(existing)).data
  if (own === undefined) throw noPackage(file)
  // The placeholder that `npm init` writes is not a test.
  const { test, ...scripts } = own.scripts ?? {}
  const keptTest = test === undefined || test.includes('no test specified') ? {} : { test }
  const isThere = own.dependencies?.[ownName] !== undefined || own.devDependencies?.[ownName] !== undefined
  const { [ownName]: _placeholder, ...tools } = base.devDependencies ?? {}
  const merged = {
    ...base,
    name: packageName(name),
    ...own,
    type: 'module',
    scripts: { ...base.scripts, ...scripts, ...keptTest },
    devDependencies: { ...tools, ...(isThere ? {} : { [ownName]: dependency }), ...own.devDependencies },
  }
  return `${JSON.stringify(merged, null, 2)}\n`
}

function noPackage(file: string): PipelineError {
  return new PipelineError({
    code: 'folder-in-use',
    message: `${file} is not a valid package.json`,
    hint: 'correct it, or name another folder; nothing was written.',
    exitCode: exitCodes.badInput,
  })
}

/** Where npm got this program from: the dependency as the surrounding project wrote it, or the tarball of the clone. */
export async function ownDependency(folder: string): Promise<string> {
  const top = resolvePath(sourceFolder())
  if (!isPackage) return fileSpec(folder, join(top, `${ownName}-${programVersion()}.tgz`))
  const modules = dirname(dirname(top))
  const project = dirname(modules)
  const isInProject = basename(modules) === 'node_modules'
  const { dependencies, devDependencies } = isInProject ? await readPackage(project) : {}
  const written = devDependencies?.[ownName] ?? dependencies?.[ownName]
  if (written?.startsWith('file:'))
    return fileSpec(folder, resolvePath(project, written.slice('file:'.length)))
  return written ?? programVersion()
}

// --- internal ---

function fileSpec(folder: string, path: string): string {
  return `file:${relative(folder, path)}`
}

/** A project's own `package.json`; empty for a global installation, which belongs to no project. */
async function readPackage(project: string): Promise<Package> {
  const text = await readRegularText(join(project, 'package.json')).catch(() => '{}')
  return packageSchema.safeParse(parseJson(text)).data ?? {}
}

/** A name that npm accepts. */
function packageName(name: string): string {
  const fit = name.toLowerCase().replace(/[^a-z0-9._-]+/g, '-')
  return fit.replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, '') || 'appliance'
}
