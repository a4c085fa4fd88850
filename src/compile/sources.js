/** What is the same whenever TypeScript is compiled here, with esbuild. */

import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
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
 * Modules go on finding scripts and templates beside their sources: `import.meta.url` is the source's.
 * @type {import('esbuild').Plugin}
 */
export const sourceUrls = {
  name: 'source-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(
        'import.meta.url',
        JSON.stringify(pathToFileURL(path).href),
      ),
      loader: /\.[cm]?ts$/.test(path) ? 'ts' : 'js',
    }))
  },
}

/**
 * Packages of many small files, which take longer to find than to run: each becomes one module. None of them is one that modules of
 * users share with the program, as zod is.
 */
const bundledPackages = ['execa', 'handlebars', 'undici', 'yaml']

/**
 * Compiles each source to a module of its own, with imports of other sources turned into imports of their modules.
 * @param {string} clone
 * @param {readonly string[]} sources paths in the clone
 * @param {string} folder where modules go, at the sources' paths
 */
export async function compileSources(clone, sources, folder) {
  await build({
    ...commonOptions,
    absWorkingDir: clone,
    entryPoints: [...sources],
    outbase: clone,
    outdir: folder,
    packages: 'external',
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [sourceUrls, besideEachOther, inPackages(clone)],
  })
  await Promise.all(bundledPackages.map((name) => bundlePackage(clone, name, join(folder, 'packages'))))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
}

/** @param {string} clone @param {string} name @param {string} folder where its module goes */
async function bundlePackage(clone, name, folder) {
  // Of CommonJS only Node knows the names that it exports.
  const names = Object.keys(await import(name)).filter((one) => /^[\w$]+$/.test(one))
  await build({
    ...commonOptions,
    stdin: { contents: `export { ${names.join(', ')} } from '${name}'`, resolveDir: clone },
    outfile: join(folder, `${name}.js`),
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  })
}

/** @type {import('esbuild').Plugin} */
const besideEachOther = {
  name: 'beside-each-other',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ path, kind, resolveDir }) => {
      if (kind === 'entry-point') return undefined
      const isSource = path.endsWith('.ts')
      // JavaScript runs where it is.
      const target = isSource ? path.replace(/\.ts$/, '.js') : pathToFileURL(join(resolveDir, path)).href
      return { path: target, external: true }
    })
  },
}

/** @param {string} clone @returns {import('esbuild').Plugin} */
const inPackages = (clone) => ({
  name: 'in-packages',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(${bundledPackages.join('|')})$`) }, ({ path, importer }) => ({
      path: `${relative(dirname(importer), clone) || '.'}/packages/${path}.js`,
      external: true,
    }))
  },
})
