/** The settings that every compilation of TypeScript here shares, with esbuild. */

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

/** @type {import('esbuild').BuildOptions} */
export const commonOptions = {
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node18.19',
  logLevel: 'silent',
}

/**
 * Lets modules still find scripts and templates next to their sources: `import.meta.url` is that of the source. What only
 * looks like it, in a string or a comment, stays.
 * @type {import('esbuild').Plugin}
 */
export const sourceUrls = {
  name: 'source-urls',
  setup({ initialOptions, onLoad }) {
    initialOptions.define = { ...initialOptions.define, 'import.meta.url': 'urlOfSource' }
    onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8')
      const url = JSON.stringify(pathToFileURL(path).href)
      return {
        // Without a line of its own, so that all others keep their numbers.
        contents: source.includes('import.meta.url')
          ? source.replace(/^(#!.*\n)?/, (shebang) => `${shebang}const urlOfSource = ${url};`)
          : source,
        loader: /\.[cm]?ts$/.test(path) ? 'ts' : 'js',
      }
    })
  },
}

/** Packages of many small files, which take longer to find than to run: each is bundled into one module. */
export const packagesOfManyFiles = ['execa', 'handlebars', 'undici', 'yaml']

/**
 * Compiles each source to a separate module, and rewrites imports of other sources to their modules. The modules run next to
 * the clone, and find its scripts, templates, and JavaScript in place.
 * @param {string} clone
 * @param {readonly string[]} sources paths in the clone
 * @param {string} folder output folder, in which modules keep the paths of their sources
 */
export async function compileSources(clone, sources, folder) {
  await compileModules(clone, sources, folder, {
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [sourceUrls, besideEachOther(true), inPackages(clone, packagesOfManyFiles)],
  })
  await Promise.all(packagesOfManyFiles.map((name) => bundlePackage(clone, name, join(folder, 'packages'))))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
}

/**
 * The same for modules that go to other hosts, bundled with the packages that they import.
 * @param {string} clone
 * @param {readonly string[]} sources
 * @param {string} folder
 * @param {readonly string[]} packages those that become separate modules
 * @returns {Promise<readonly string[]>} the packages' files that the modules contain, as paths in the clone
 */
export async function compilePackage(clone, sources, folder, packages) {
  await compileModules(clone, sources, folder, {
    plugins: [besideEachOther(false), inPackages(clone, packages)],
  })
  const bundled = packages.map((name) => bundlePackage(clone, name, join(folder, 'packages')))
  return (await Promise.all(bundled)).flat()
}

/**
 * @param {string} clone
 * @param {readonly string[]} sources
 * @param {string} folder
 * @param {import('esbuild').BuildOptions} options
 */
async function compileModules(clone, sources, folder, options) {
  await build({
    ...commonOptions,
    absWorkingDir: clone,
    entryPoints: [...sources],
    outbase: clone,
    outdir: folder,
    packages: 'external',
    ...options,
  })
}

/**
 * Must not be used for a package that users' modules share with the program, such as zod.
 * @param {string} clone
 * @param {string} name
 * @param {string} folder output folder of its module
 * @returns {Promise<readonly string[]>} the files in it, as paths in the clone
 */
async function bundlePackage(clone, name, folder) {
  // Only Node.js knows which names a CommonJS module exports, so they are taken from the file that Node.js resolves.
  const names = Object.keys(await import(name)).filter((one) => /^[\w$]+$/.test(one))
  const from = JSON.stringify(fileURLToPath(import.meta.resolve(name)))
  const { metafile } = await build({
    ...commonOptions,
    absWorkingDir: clone,
    stdin: { contents: `export { ${names.join(', ')} } from ${from}`, resolveDir: clone },
    outfile: join(folder, `${name}.js`),
    metafile: true,
    banner: {
      js: [
        "import { createRequire } from 'node:module'",
        "import { fileURLToPath as pathOfModule } from 'node:url'",
        'const require = createRequire(import.meta.url)',
        "const __dirname = pathOfModule(new URL('.', import.meta.url))",
      ].join('\n'),
    },
  })
  return Object.keys(metafile.inputs).filter((path) => path !== '<stdin>')
}

/** @param {boolean} isHere whether JavaScript stays in place @returns {import('esbuild').Plugin} */
const besideEachOther = (isHere) => ({
  name: 'beside-each-other',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ path, kind, resolveDir }) => {
      if (kind === 'entry-point') return undefined
      const isAtPlace = isHere && !path.endsWith('.ts')
      const target = isAtPlace ? pathToFileURL(join(resolveDir, path)).href : path.replace(/\.ts$/, '.js')
      return { path: target, external: true }
    })
  },
})

/** @param {string} clone @param {readonly string[]} packages @returns {import('esbuild').Plugin} */
const inPackages = (clone, packages) => ({
  name: 'in-packages',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(${packages.join('|')})$`) }, ({ path, importer }) => ({
      path: `${relative(dirname(importer), clone) || '.'}/packages/${path}.js`,
      external: true,
    }))
  },
})
