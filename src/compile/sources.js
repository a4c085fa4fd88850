/** What is the same whenever TypeScript is compiled here, with esbuild. */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
    plugins: [sourceUrls, besideEachOther],
  })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
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
