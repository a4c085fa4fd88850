/** What the comments in our sources say about the fields of a configuration, by path. */

import { archNames } from '../../src/arch.ts'
import { targetNames } from '../../src/targets/registry.ts'
import { read } from './imports.ts'

/** A part of the schema: where its fields are declared, and where they are in a configuration. */
interface Part {
  readonly file: string
  /** Name in its declaration. */
  readonly name: string
  readonly at: string
}

/** Where a pipeline specifies what does not apply to all images. */
const ofSome = ['variants', ...archNames.map((arch) => `architectures.${arch}`)]

const parts: readonly Part[] = [
  { file: 'pipeline', name: 'pipelineShape', at: '' },
  ...['disk', ...ofSome.map((at) => `${at}.disk`)].flatMap((at) => [
    { file: 'disk', name: 'diskField', at },
    { file: 'disk', name: 'partition', at: `${at}.partitions` },
  ]),
  ...ofSome.map((at) => ({ file: 'pipeline', name: 'ownShape', at })),
  { file: 'mirror', name: 'mirrorShape', at: 'mirror' },
  ...['verification', 'verification.routers'].map((at) => ({ file: 'pipeline', name: 'sizeFields', at })),
  { file: 'debian-installer', name: 'debianInstallerFields', at: 'debianInstaller' },
  { file: 'debian-installer', name: 'question', at: 'debianInstaller.extraAnswers' },
  { file: 'freshness', name: 'freshnessFields', at: 'freshness' },
]

/** Texts without `@default`, which the schema states itself, and without Markdown. */
export function fieldComments(): ReadonlyMap<string, string> {
  const own = parts.flatMap(({ file, name, at }) => {
    const text = read(`src/config/${file}.ts`)
    const from = text.search(new RegExp(`^(?:export )?const ${name} = `, 'm'))
    return scan(text.slice(from).split(/\n(?=\S)/)[0] ?? '', at)
  })
  const ofTargets = targetNames.flatMap((name) => {
    const text = read(`src/targets/${name}.ts`)
    const settings = scan(text, '').map(
      ([path, comment]) => [`formats.${name}.${path.split('.').at(-1)}`, comment] as const,
    )
    return [[`formats.${name}`, plain(/\/\*\*(.*?)\*\//.exec(text)?.[1] ?? '')] as const, ...settings]
  })
  return new Map([...ofTargets, ...own])
}

/** Comments before properties. Our sources are formatted, so indentation shows the nesting. */
function scan(text: string, at: string): readonly (readonly [string, string])[] {
  const found: [string, string][] = []
  const parents: { readonly indent: number; readonly name: string }[] = []
  for (const [, comment, indent = '', name = ''] of text.matchAll(
    /(?:^ *\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n)?^( +)'?(\w+)'?:(?= |$)/gm,
  )) {
    while ((parents.at(-1)?.indent ?? -1) >= indent.length) parents.pop()
    parents.push({ indent: indent.length, name })
    const path = [at, ...parents.map((parent) => parent.name)].filter(Boolean).join('.')
    if (comment !== undefined) found.push([path, plain(comment)])
  }
  return found
}

function plain(comment: string): string {
  const text = comment.replaceAll(/^\s*\*? ?/gm, '').replaceAll(/\s+/g, ' ')
  return text
    .replace(/ ?@default .*$/, '')
    .replaceAll('`', '')
    .trim()
}
