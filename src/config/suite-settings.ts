/** The time zones, locales, and keyboards in the packages of a suite; `npm run test:suites` checks the lists. */

import { readFileSync } from 'node:fs'
import { type Fault, formatFound } from './faults.ts'
import type { Suite } from './image.ts'
import { type Overrides, originOf } from './overrides.ts'
import type { ValidFields } from './valid-fields.ts'

/** The settings of a system that name something in a package. */
type Setting = 'timezone' | 'locale' | 'keyboard'

export const settingPackages = {
  timezone: { package: 'tzdata', noun: 'a time zone' },
  locale: { package: 'locales', noun: 'a locale' },
  keyboard: { package: 'xkb-data', noun: 'a keyboard layout' },
} as const satisfies Readonly<Record<Setting, { readonly package: string; readonly noun: string }>>

export const settings = Object.keys(settingPackages) as readonly Setting[]

/** The names that a suite's packages provide. */
export interface SuiteSettings {
  readonly versions: Readonly<Record<Setting, string>>
  readonly names: Readonly<Record<Setting, ReadonlySet<string>>>
  /** Time zones of the tz database that the suite omits, and the current name of each. */
  readonly renamed: ReadonlyMap<string, string>
}

/** A file of `suites/`: under each setting with its package's version, one name per line. */
export function renderSettings({ versions, names, renamed }: SuiteSettings): string {
  const lines = settings.flatMap((setting) => [
    `${setting} of ${settingPackages[setting].package} ${versions[setting]}`,
    ...[...names[setting]].sort().map((name) => `  ${name}`),
  ])
  return `${[...lines, 'renamed', ...[...renamed].sort().map(([from, to]) => `  ${from} ${to}`)].join('\n')}\n`
}

export function parseSettings(text: string): SuiteSettings {
  const sections = new Map(
    text.split(/^(?! )/m).map((section) => {
      const [title = '', ...lines] = section.trimEnd().split('\n')
      const [setting = '', , , version = ''] = title.split(' ')
      return [setting, { version, lines: lines.map((line) => line.trim()) }] as const
    }),
  )
  const of = <Value>(pick: (section: { version: string; lines: readonly string[] }) => Value) =>
    Object.fromEntries(
      settings.map((setting) => [setting, pick(sections.get(setting) ?? { version: '', lines: [] })]),
    ) as Record<Setting, Value>
  return {
    versions: of(({ version }) => version),
    names: of(({ lines }) => new Set(lines)),
    renamed: new Map(sections.get('renamed')?.lines.map((line) => line.split(' ') as [string, string])),
  }
}

export const settingsFile = (suite: Suite) => new URL(`./suites/${suite}.txt`, import.meta.url)

/** Faults for names that a variant's suite lacks: the image would point to a missing file. */
export function settingFaults(fields: ValidFields, overrides: readonly Overrides[]): Fault[] {
  const suites = [...new Set(fields.variants?.map(({ suite }) => suite))]
  return suites.flatMap((suite) => {
    const known = parseSettings(readFileSync(settingsFile(suite), 'utf8'))
    return settings.flatMap((setting) => {
      const value = fields[setting]
      if (value === undefined || known.names[setting].has(value)) return []
      const { package: name, noun } = settingPackages[setting]
      const successor = known.renamed.get(value)
      const advice = successor === undefined ? '' : `; there it is named ${successor}`
      return {
        path: setting,
        rule: `must be ${noun} in ${suite}'s ${name} (${known.versions[setting]})${advice}`,
        found: formatFound(value),
        ...originOf(overrides, [setting]),
      }
    })
  })
}
