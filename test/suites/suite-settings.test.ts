/** The lists of time zones, locales and keyboards against the packages that Debian signs today. `-u` writes them. */

import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { Suite } from '../../src/config/image.ts'
import {
  parseSettings,
  renderSettings,
  settingPackages,
  settings,
  settingsFile,
} from '../../src/config/suite-settings.ts'
import { archivesOf } from '../../src/debian/archives.ts'
import { findListedPackage } from '../../src/debian/packages-index.ts'
import {
  fetchListed,
  type ReleaseFile,
  type ReleaseRequest,
  verifyRelease,
} from '../../src/debian/release.ts'
import { useFolder } from '../support/folder.ts'
import { describeWith } from '../support/tools.ts'

const path = useFolder()

const mirror = {
  debian: 'http://deb.debian.org/debian',
  security: 'http://deb.debian.org/debian-security',
  components: ['main'],
  keyring: '/usr/share/keyrings/debian-archive-keyring.gpg',
}

const limits = { encoding: 'utf8', maxBuffer: 128 << 20 } as const

/** The signed index, in the one format that every archive has. */
async function fetchIndex(archive: ReleaseRequest): Promise<string> {
  const { files } = await verifyRelease(archive)
  const name = `main/binary-${archive.arch}/Packages.xz`
  const packed = await fetchListed(
    `${archive.url}/dists/${archive.suite}/${name}`,
    files.get(name) as ReleaseFile,
  )
  return execFileSync('xz', ['-dc'], { input: packed, ...limits })
}

/** A package as images get it: the newest of the three archives. */
async function fetchPackage(
  suite: Suite,
  name: string,
): Promise<{ readonly file: string; readonly version: string }> {
  const indexes = archivesOf({ suite, debianArch: 'amd64', mirror }).map(async (archive) => {
    const listed = findListedPackage(await fetchIndex(archive), name)
    return listed === undefined ? [] : [{ archive, listed, version: listed.archiveName.split('_')[1] ?? '' }]
  })
  const [newest] = (await Promise.all(indexes))
    .flat()
    .sort((a, b) => (isNewer(a.version, b.version) ? -1 : 1))
  if (newest === undefined) throw new Error(`${suite} has no ${name}`)
  const { archive, listed, version } = newest
  const file = path(`${name}.deb`)
  writeFileSync(file, await fetchListed(`${archive.url}/${listed.fileName}`, listed))
  return { file, version }
}

const isNewer = (a: string, b: string) => spawnSync('dpkg', ['--compare-versions', a, 'gt', b]).status === 0

const open = (deb: string, words: string) =>
  execFileSync('sh', ['-c', `dpkg-deb --fsys-tarfile "$0" | tar ${words}`, deb], limits)
const namesIn = (deb: string) =>
  open(deb, '-t')
    .split('\n')
    .map((name) => name.replace(/^\.\//, ''))
const matches = (texts: readonly string[], pattern: RegExp) =>
  new Set(texts.flatMap((text) => pattern.exec(text)?.[1] ?? []))

/** How each package lists what it has. */
const readers = {
  // `posix` and `right` repeat them all; lists and the defaults begin in lower case.
  timezone: (deb: string) => matches(namesIn(deb), /^usr\/share\/zoneinfo\/([A-Z](?:[\w+-]*\/)*[\w+-]+)$/),
  // Some are listed without their character set, which is then the only one. `locale-gen` takes both spellings.
  locale: (deb: string) => {
    const listed = matches(
      open(deb, '-xO ./usr/share/i18n/SUPPORTED').split('\n'),
      /^([a-z]{2,3}_[A-Z]{2})(?:\.UTF-8)? UTF-8$/,
    )
    return new Set([...listed].map((name) => `${name}.UTF-8`))
  },
  keyboard: (deb: string) => {
    const rules = open(deb, '-xO ./usr/share/X11/xkb/rules/base.lst')
    const listed = matches(
      (rules.split(/^! /m).find((part) => part.startsWith('layout')) ?? '').split('\n'),
      /^ +(\w+)/,
    )
    const there = matches(namesIn(deb), /^usr\/share\/X11\/xkb\/symbols\/([a-z]{2,8})$/)
    return new Set([...listed].filter((layout) => there.has(layout)))
  },
} as const

describeWith(['dpkg', 'dpkg-deb', 'gpgv', 'xz'], 'the settings that a suite knows', () => {
  it.each(['bookworm', 'trixie'] as const)('are those in the packages of %s', async (suite) => {
    const packages = await Promise.all(
      settings.map(
        async (setting) => [setting, await fetchPackage(suite, settingPackages[setting].package)] as const,
      ),
    )
    const of = <Value>(
      pick: (setting: (typeof settings)[number], found: { file: string; version: string }) => Value,
    ) =>
      Object.fromEntries(packages.map(([setting, found]) => [setting, pick(setting, found)])) as Record<
        (typeof settings)[number],
        Value
      >
    const names = of((setting, { file }) => readers[setting](file))
    const links = open(of((_setting, { file }) => file).timezone, '-xO ./usr/share/zoneinfo/tzdata.zi')
    const renamed = [...links.matchAll(/^L (\S+) (\S+)$/gm)].flatMap(([, to = '', from = '']) =>
      names.timezone.has(from) || !names.timezone.has(to) ? [] : [[from, to] as const],
    )
    const found = { versions: of((_setting, { version }) => version), names, renamed: new Map(renamed) }
    expect(names.timezone.size).toBeGreaterThan(400)
    expect(names.locale.size).toBeGreaterThan(200)
    expect(names.keyboard.size).toBeGreaterThan(80)
    await expect(renderSettings(found)).toMatchFileSnapshot(fileURLToPath(settingsFile(suite)))
    expect(parseSettings(renderSettings(found))).toEqual(found)
  })
})
