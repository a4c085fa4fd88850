/** apt, with the settings that it has in a guest of a build with a package set. */

import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { archivesOf, renderSetSourceLines } from '../../../src/debian/archives.ts'
import {
  debOf,
  indexFileOf,
  openPackageSet,
  releaseFileOf,
  renderSet,
  type SetArchive,
  setFile,
} from '../../../src/debian/package-set.ts'
import { startSetServer } from '../../../src/debian/set-server.ts'
import { sha256 } from '../../../src/digest.ts'
import { renderAptSettings } from '../../../src/stages/agent.ts'
import { useFolder } from '../../support/folder.ts'
import { startMirror } from '../../support/mirror.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const never = new AbortController().signal

/** A package without files, as `dpkg-deb` makes it. */
function makeDeb(): Buffer {
  mkdirSync(path('tree', 'DEBIAN'), { recursive: true })
  const fields = { Package: 'tool', Version: '1:2.0', Architecture: 'amd64', Maintainer: 'T <t@example.org>' }
  const text = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`)
  writeFileSync(path('tree', 'DEBIAN', 'control'), `${text.join('')}Description: a tool\n`)
  execFileSync('dpkg-deb', ['--root-owner-group', '--build', path('tree'), path('tool.deb')])
  return readFileSync(path('tool.deb'))
}

describeWith(['gpg', 'gpgv', 'xz', 'apt-get', 'dpkg-deb'], 'apt in a guest', () => {
  it('gets lists and packages from a set, though the mirror is gone, and names what the set lacks', async () => {
    const mirror = await startMirror()
    const deb = makeDeb()
    const stanza = (name: string, digest: string) =>
      `Package: ${name}\nVersion: 1:2.0\nArchitecture: amd64\nFilename: pool/${name}_2.0.deb\nSize: ${deb.length}\nSHA256: ${digest}\nDescription: a tool\n`
    const index = Buffer.from(`${stanza('tool', sha256(deb))}\n${stanza('lost', '0'.repeat(64))}`)
    mirror.publish('trixie', { index })
    mkdirSync(path('set'))
    const archives = ['trixie', 'trixie-updates', 'trixie-security'].map((suite): SetArchive => {
      const isSecurity = suite.endsWith('-security')
      const signed = mirror.read(`${isSecurity ? '/security' : '/debian'}/dists/${suite}/InRelease`)
      const text = suite === 'trixie' ? index : Buffer.alloc(0)
      writeFileSync(path('set', releaseFileOf(sha256(signed))), signed)
      writeFileSync(path('set', indexFileOf(sha256(text))), gzipSync(text))
      const url = isSecurity ? mirror.security : mirror.debian
      return { suite, url, architecture: 'amd64', sha256: sha256(signed), indexes: [sha256(text)] }
    })
    const of = { name: 'tool', version: '1:2.0', architecture: 'amd64' }
    const url = `${mirror.debian}/pool/tool_2.0.deb`
    const packages = [{ ...of, sha256: sha256(deb), sizeBytes: deb.length, url }]
    writeFileSync(path('set', debOf(of)), deb)
    writeFileSync(path('set', setFile), renderSet({ archives, packages }))
    const keyring = path('keyring.gpg')
    writeFileSync(keyring, readFileSync(mirror.keyring))
    mirror.close()

    const image = await sampleImage(path(), {
      mirror: { debian: mirror.debian, security: mirror.security, keyring },
    })
    const server = await startSetServer(await openPackageSet(path('set'), never), archivesOf(image), never)
    try {
      for (const name of ['run', 'state/lists/partial', 'cache/archives/partial', 'here'])
        mkdirSync(path(name), { recursive: true })
      writeFileSync(path('state/status'), '')
      writeFileSync(path('run/sources.list'), `${renderSetSourceLines(image, true).join('\n')}\n`)
      // What is 10.0.2.2 there is this host, and the rest keeps apt away from the packages of this host.
      const settings = renderAptSettings({ port: server.port, sources: [] })
        .replaceAll('/run/systemvm-build', path('run'))
        .replaceAll('10.0.2.2', '127.0.0.1')
      const apart = ['Etc::main "/dev/null"', 'Etc::parts "/dev/null"', `Cache "${path('cache')}"`]
      const state = [`State "${path('state')}"`, `State::status "${path('state/status')}"`]
      const lines = [...apart, ...state].map((one) => `Dir::${one};\n`).join('')
      const ours = 'APT::Architecture "amd64";\nAPT::Sandbox::User "root";\n'
      writeFileSync(path('run/apt.conf'), `${settings}${lines}${ours}`)
      const apt = (...words: string[]) =>
        promisify(execFile)('apt-get', ['--quiet', ...words], {
          cwd: path('here'),
          env: { PATH: process.env.PATH, APT_CONFIG: path('run/apt.conf'), LC_ALL: 'C' },
        })
      await apt('-o', 'APT::Update::Error-Mode=any', 'update')
      await apt('download', 'tool')
      expect(readFileSync(path('here', debOf(of))).equals(deb)).toBe(true)
      await expect(apt('download', 'lost')).rejects.toThrow('404')
      expect(server.missing().map(({ name }) => name)).toEqual(['lost'])
    } finally {
      server.close()
    }
  })
})
