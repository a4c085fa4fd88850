/** Checks that the time zone and the locale in a system's settings exist. Boots nothing. */

import { type ImageFiles, namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, judge } from '../check.ts'

const settingsLead: ContentCheck = {
  id: 'G14',
  group: 'file',
  at: 'content',
  does: 'follows /etc/localtime, and looks for the locale of /etc/default/locale',
  run: async ({ files }) => {
    const target = (await files.stat('/etc/localtime'))?.target
    const locale = await localeOf(files)
    const faults = [
      ...((await hasTimeZone(files))
        ? []
        : [`/etc/localtime leads to no time zone: ${target ?? 'another file'}`]),
      ...(locale === undefined || (await hasLocale(files, locale)) ? [] : [`there is no locale ${locale}`]),
    ]
    const zone = target?.replace(/^.*\/zoneinfo\//, '') ?? 'UTC'
    return judge(faults, `${zone}, ${locale ?? 'C'}`)
  },
}

/** Without the file, the C library uses UTC. */
async function hasTimeZone(files: ImageFiles): Promise<boolean> {
  if ((await files.stat('/etc/localtime')) === undefined) return true
  return (await files.read('/etc/localtime'))?.subarray(0, 4).toString('latin1') === 'TZif'
}

/** The locale of the system; undefined if it is one that the C library has built in. */
async function localeOf(files: ImageFiles): Promise<string | undefined> {
  const text = (await readText(files, '/etc/default/locale')) ?? ''
  const [, name] = /^(?:LC_ALL|LANG)="?([^"\n]*)/m.exec(text) ?? []
  return name === undefined || /^(C|POSIX|C\.UTF-?8|)$/i.test(name) ? undefined : name
}

/** `locale-gen` adds it to the archive, with a normalized character set name, or to a folder. */
async function hasLocale(files: ImageFiles, locale: string): Promise<boolean> {
  const plain = locale.replace(
    /\.[^@]*/,
    (codeset) => `.${codeset.toLowerCase().replaceAll(/[^a-z0-9]/g, '')}`,
  )
  const names = await namesIn(files, '/usr/lib/locale')
  if (names.includes(locale) || names.includes(plain)) return true
  return (await files.read('/usr/lib/locale/locale-archive'))?.includes(`${plain}\0`) === true
}

export const localeChecks: readonly ContentCheck[] = [settingsLead]
