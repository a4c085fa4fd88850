/** The archives that an image is made from: the single source for all code that verifies, lists, renders, or records them. */

import type { ImageFacts } from '../config/image.ts'
import type { ReleaseRequest } from './release.ts'

type OfImage = Pick<ImageFacts, 'suite' | 'debianArch' | 'mirror'>

/** The image's package archives, the main one first, in the order of its apt sources. */
export function archivesOf(
  image: OfImage,
): readonly [main: ReleaseRequest, updates: ReleaseRequest, security: ReleaseRequest] {
  const { suite, mirror } = image
  const main = mainArchiveOf(image)
  return [
    main,
    { ...main, suite: `${suite}-updates` },
    { ...main, url: mirror.security, suite: `${suite}-security` },
  ]
}

export function mainArchiveOf({ suite, debianArch, mirror }: OfImage): ReleaseRequest {
  const { debian, components, keyring, snapshot } = mirror
  return { url: debian, suite, components, keyring, snapshot, arch: debianArch }
}

/** The archive of debian-installer's own packages, with a separate suite or keyring if the mirror setting names one. */
export function udebArchiveOf(image: OfImage): ReleaseRequest {
  const { keyring, udebs } = image.mirror
  return {
    ...mainArchiveOf(image),
    suite: udebs?.suite ?? image.suite,
    keyring: udebs?.keyring ?? keyring,
    // A separate udeb suite has no other indexes.
    components: udebs?.suite === undefined ? ['main'] : [],
  }
}

/** The distinct archives of some images. */
export function uniqueArchives(archives: readonly ReleaseRequest[]): readonly ReleaseRequest[] {
  return [...new Map(archives.map((archive) => [JSON.stringify(archive), archive])).values()]
}

/**
 * The apt sources for a build from the server of a package set, which speaks plain HTTP and may serve expired Release files.
 * apt's list files keep the same names.
 * @param isSigned whether the lines name the keyring
 */
export function renderSetSourceLines(image: OfImage, isSigned = false): readonly string[] {
  return archivesOf(image).map(({ url, suite, components, keyring }) => {
    const options = `[check-valid-until=no${isSigned ? ` signed-by=${keyring}` : ''}]`
    return `deb ${options} ${url.replace(/^https:/, 'http:')} ${suite} ${components.join(' ')}`
  })
}

/** The sources in one-line style, for apt and mmdebstrap. */
export function renderSourceLines(image: OfImage): readonly string[] {
  return archivesOf(image).map(({ url, suite, components, snapshot }) => {
    const options = snapshot === undefined ? '' : '[check-valid-until=no] '
    return `deb ${options}${url} ${suite} ${components.join(' ')}`
  })
}

/** The sources in apt's deb822 format, with one stanza per mirror. */
export function renderSources(image: OfImage): string {
  const [main, updates, security] = archivesOf(image)
  return [renderStanza(main, updates), renderStanza(security)].join('\n')
}

/** The start of apt's list file names for an archive: its URL without the scheme. */
export function aptListName(url: string): string {
  return url
    .replace(/^https?:\/\//, '')
    .replaceAll('_', '%5f')
    .replaceAll('/', '_')
}

// --- internal ---

/** A stanza for archives of the same mirror. */
function renderStanza(first: ReleaseRequest, ...others: readonly ReleaseRequest[]): string {
  const { url, components, keyring, snapshot } = first
  const suites = [first, ...others].map(({ suite }) => suite)
  return [
    'Types: deb',
    `URIs: ${url}`,
    `Suites: ${suites.join(' ')}`,
    `Components: ${components.join(' ')}`,
    `Signed-By: ${keyring}`,
    ...(snapshot === undefined ? [] : ['Check-Valid-Until: no']),
    '',
  ].join('\n')
}
