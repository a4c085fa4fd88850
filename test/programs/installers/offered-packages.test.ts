/** Cached packages that mmdebstrap may have, against the signed indexes of a mirror. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { type OfferRequest, offerPackages } from '../../../src/installers/bootstrap/offered-packages.ts'
import { useFolder } from '../../support/folder.ts'
import { runGpg } from '../../support/gpg.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const genuine = { 'netbase_6.5_all': 'netbase', 'sudo_1%3a1.9_amd64': 'sudo', tzdata_2026a_all: 'time' }

describeWith(['gpg', 'gpgv'], 'cached packages', () => {
  let server: Server
  let routes: Map<string, string | Buffer>
  let notes: string[]
  let image: OfferRequest['image']

  beforeEach(async () => {
    notes = []
    routes = new Map()
    mkdirSync(path('keys'), { mode: 0o700 })
    mkdirSync(path('packages'))
    runGpg(path('keys'), ['--quick-generate-key', 'known <known@example.org>', 'ed25519', 'sign', 'never'])
    runGpg(path('keys'), ['--output', path('archive.gpg'), '--export'])
    server = createServer((incoming, answer) => {
      const body = routes.get(incoming.url ?? '')
      answer.statusCode = body === undefined ? 404 : 200
      answer.end(body ?? '')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const debian = `http://127.0.0.1:${(server.address() as AddressInfo).port}/debian`
    const mirror = { debian, security: debian, components: ['main'], keyring: path('archive.gpg') }
    image = { suite: 'trixie', debianArch: 'amd64', mirror } as OfferRequest['image']
    publish('trixie', ['netbase_6.5_all', 'sudo_1%3a1.9_amd64'])
    publish('trixie-updates', ['tzdata_2026a_all'])
    publish('trixie-security', [])
  })
  afterEach(() => {
    execFileSync('gpgconf', ['--homedir', path('keys'), '--kill', 'all'])
    server.closeAllConnections()
    server.close()
  })

  function publish(suite: string, packages: readonly (keyof typeof genuine)[]): void {
    const stanzas = packages.map((name) => {
      const [of, version = '', arch] = name.split('_')
      const facts = `Version: ${version.replace('%3a', ':')}\nArchitecture: ${arch}\nFilename: pool/${name}.deb`
      return `Package: ${of}\n${facts}\nSize: ${genuine[name].length}\nSHA256: ${sha256(genuine[name])}\n`
    })
    const index = gzipSync(stanzas.join('\n'))
    const at = 'main/binary-amd64/Packages.gz'
    const fields = [`Codename: ${suite}`, 'Date: Sat, 12 Sep 2026 07:55:41 UTC', 'Architectures: amd64']
    const text = [...fields, 'Components: main', 'SHA256:', ` ${sha256(index)} ${index.length} ${at}`, '']
    routes.set(`/debian/dists/${suite}/InRelease`, runGpg(path('keys'), ['--clearsign'], text.join('\n')))
    routes.set(`/debian/dists/${suite}/${at}`, index)
  }

  const keep = (name: string, content: string) => writeFileSync(path('packages', `${name}.deb`), content)
  const offer = () =>
    offerPackages({
      image,
      packageCache: path('packages'),
      onNote: (text) => notes.push(text),
      signal: AbortSignal.timeout(60_000),
    })

  it('are offered if a signed index of any of the archives lists them', async () => {
    for (const [name, content] of Object.entries(genuine)) keep(name, content)
    keep('netbase_6.4_all', 'an older version')
    writeFileSync(path('packages', 'lock'), '')
    const { folder, close } = await offer()
    expect(readdirSync(folder).sort()).toEqual(Object.keys(genuine).map((name) => `${name}.deb`))
    await close()
    expect(readdirSync(path())).not.toContain(folder)
    expect(readdirSync(path('packages'))).toHaveLength(5)
    expect(notes).toEqual([])
  })

  it('stay what was proved, whatever becomes of the file that they are from', async () => {
    keep('netbase_6.5_all', 'netbase')
    const { folder, close } = await offer()
    keep('netbase_6.5_all', 'EVIL!!!')
    expect(readFileSync(`${folder}/netbase_6.5_all.deb`, 'utf8')).toBe('netbase')
    await close()
  })

  it('of the same size with another content are removed and named', async () => {
    for (const [name, content] of Object.entries(genuine)) keep(name, content.toUpperCase())
    keep('tzdata_2026a_all', 'time')
    const { folder, close } = await offer()
    expect(readdirSync(folder)).toEqual(['tzdata_2026a_all.deb'])
    await close()
    expect(readdirSync(path('packages'))).toEqual(['tzdata_2026a_all.deb'])
    expect(notes.sort()).toEqual(
      ['netbase_6.5_all', 'sudo_1%3a1.9_amd64'].map(
        (name) =>
          `${name}.deb in ${path('packages')} is not the package that the signed index lists, and is removed`,
      ),
    )
  })

  it('that nobody could read to their end are removed, and what is no file is left alone', async () => {
    for (const [name, content] of Object.entries(genuine))
      if (name !== 'sudo_1%3a1.9_amd64') keep(name, content)
    truncateSync(path('packages', 'netbase_6.5_all.deb'), 2 ** 43)
    execFileSync('mkfifo', [path('packages', 'sudo_1%3a1.9_amd64.deb')])
    const { folder, close } = await offer()
    expect(readdirSync(folder)).toEqual(['tzdata_2026a_all.deb'])
    await close()
    expect(readdirSync(path('packages')).sort()).toEqual(['sudo_1%3a1.9_amd64.deb', 'tzdata_2026a_all.deb'])
    expect(notes.sort()).toEqual([
      `netbase_6.5_all.deb in ${path('packages')} is not the package that the signed index lists, and is removed`,
      `sudo_1%3a1.9_amd64.deb in ${path('packages')} is not a file, and is not used`,
    ])
  })

  it('are not offered if nothing proves them, and stay', async () => {
    keep('netbase_6.5_all', 'netbase')
    routes.set('/debian/dists/trixie/InRelease', 'not signed')
    const { folder, close } = await offer()
    expect(readdirSync(folder)).toEqual([])
    await close()
    expect(readdirSync(path('packages'))).toEqual(['netbase_6.5_all.deb'])
    expect(notes).toEqual([
      expect.stringMatching(/^cached packages are not used, because they cannot be verified/),
    ])
  })

  it('need no mirror if there are none, and take in what is new', async () => {
    server.close()
    const { folder, close } = await offer()
    writeFileSync(`${folder}/netbase_6.5_all.deb`, 'netbase')
    mkdirSync(`${folder}/partial`)
    await close()
    expect(readdirSync(path('packages'))).toEqual(['netbase_6.5_all.deb'])
    expect(readFileSync(path('packages', 'netbase_6.5_all.deb'), 'utf8')).toBe('netbase')
    expect(notes).toEqual([])
  })
})
