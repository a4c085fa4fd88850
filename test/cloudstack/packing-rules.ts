/** The rules by which CloudStack's own build packs scripts, read from that build. */

import { readFileSync } from 'node:fs'

/**
 * Modes that a `pom.xml` of CloudStack gives to paths in the archive: of its sets of files in their order, the last one
 * that takes a path decides. Undefined: it is not in the archive.
 */
export function readPackingRules(pom: string): (path: string) => string | undefined {
  const sets = [
    ...readFileSync(pom, 'utf8').matchAll(/<tarfileset[^>]*filemode="(\d+)"[^>]*>(.*?)<\/tarfileset>/gs),
  ].map(([, mode = '', body = '']) => {
    const patterns = (kind: string) =>
      [...body.matchAll(new RegExp(`<${kind} name="([^"]+)"`, 'g'))].map(([, text = '']) => antPattern(text))
    return { mode, included: patterns('include'), excluded: patterns('exclude') }
  })
  return (path) =>
    sets.findLast(
      ({ included, excluded }) =>
        included.some((pattern) => pattern.test(path)) && !excluded.some((pattern) => pattern.test(path)),
    )?.mode
}

/** As ant reads it: a part `**` stands for any number of folders, and `*` in a part for anything in it. */
function antPattern(text: string): RegExp {
  const parts = text.split('/').map((part) => {
    if (part === '**') return '(?:[^/]+/)*'
    return `${part.replaceAll('.', '\\.').replace(/\*+/g, '[^/]*')}/`
  })
  return new RegExp(`^${parts.join('')}$`.replace(/\/\$$/, '$').replace(/\(\?:\[\^\/\]\+\/\)\*\$$/, '.+$'))
}
