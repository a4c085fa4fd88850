import { describe, expect, it } from 'vitest'
import {
  archivesOf,
  renderSourceLines,
  renderSources,
  udebArchiveOf,
  uniqueArchives,
} from '../../../src/debian/archives.ts'

const mirror = {
  debian: 'http://deb.example/debian',
  security: 'http://deb.example/security',
  components: ['main', 'contrib'],
  keyring: '/keys.gpg',
}
const image = { suite: 'trixie', debianArch: 'amd64', mirror } as const
const old = { ...image, mirror: { ...mirror, snapshot: '20260101T000000Z' } }

describe('the archives of an image', () => {
  it('are its suite, the updates of it, and its security archive', () => {
    expect(archivesOf(image).map(({ url, suite }) => `${url} ${suite}`)).toEqual([
      'http://deb.example/debian trixie',
      'http://deb.example/debian trixie-updates',
      'http://deb.example/security trixie-security',
    ])
    for (const archive of archivesOf(old)) {
      expect(archive).toMatchObject({
        components: mirror.components,
        keyring: '/keys.gpg',
        arch: 'amd64',
        snapshot: '20260101T000000Z',
      })
    }
  })

  it('are asked once when several images have them', () => {
    const bookworm = { ...image, suite: 'bookworm' } as const
    expect(uniqueArchives([image, bookworm, image].flatMap(archivesOf))).toHaveLength(6)
  })

  it('are the same as sources of one line and of deb822', () => {
    expect(renderSourceLines(image)).toEqual([
      'deb http://deb.example/debian trixie main contrib',
      'deb http://deb.example/debian trixie-updates main contrib',
      'deb http://deb.example/security trixie-security main contrib',
    ])
    expect(renderSourceLines(old)[0]).toBe(
      'deb [check-valid-until=no] http://deb.example/debian trixie main contrib',
    )
    const text = `Types: deb
URIs: http://deb.example/debian
Suites: trixie trixie-updates
Components: main contrib
Signed-By: /keys.gpg

Types: deb
URIs: http://deb.example/security
Suites: trixie-security
Components: main contrib
Signed-By: /keys.gpg
`
    expect(renderSources(image)).toBe(text)
    const lines = renderSources(old).split('\n')
    expect(lines.filter((line) => line === 'Check-Valid-Until: no')).toHaveLength(2)
  })

  it('have udebs in main, or where the mirror is told to have them', () => {
    expect(udebArchiveOf(image)).toEqual({ ...archivesOf(image)[0], components: ['main'] })
    const udebs = { suite: 'udebs', keyring: '/other.gpg' }
    expect(udebArchiveOf({ ...image, mirror: { ...mirror, udebs } })).toMatchObject({
      url: mirror.debian,
      suite: 'udebs',
      keyring: '/other.gpg',
      components: [],
    })
  })
})
