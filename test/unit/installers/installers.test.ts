import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { hostEnvironment } from '../../../src/installers/bootstrap/bootstrap.ts'
import { installerOf, installers } from '../../../src/installers/index.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()

describe('an installer', () => {
  it.each(installers.map((installer) => [installer.name, installer] as const))(
    '%s is found by its name, and shows every text that its key was made from',
    async (name, installer) => {
      const image = await sampleImage(path(), {
        installer: name === 'disk-image' ? { image: process.execPath } : name,
      })
      expect(installerOf(image)).toBe(installer)
      const { parts, sources } = await installer.keyParts(image)
      const digests = [parts.scripts, parts.command].flat()
      expect(sources.map(({ text }) => sha256(text))).toEqual(digests)
    },
  )

  it('has in its key what mmdebstrap is run with, and nothing of where', async () => {
    const { sources } = await installerOf({ installer: 'bootstrap' }).keyParts(await sampleImage(path()))
    const command = sources.at(-1)?.text ?? ''
    for (const word of ['--variant=apt', 'nano', 'path-exclude=/usr/share/doc', 'nofail', 'trixie-security'])
      expect(command).toContain(word)
    expect(command).not.toContain(process.cwd())
  })

  it('has in its key the preseed and the kernel line', async () => {
    const image = await sampleImage(path(), { installer: 'debian-installer' })
    const { sources } = await installerOf(image).keyParts(image)
    expect(sources.map(({ name }) => name)).toEqual(['preseed.cfg', "the installer's kernel arguments"])
    expect(sources[1]?.text).toContain('hostname=sample\n')
  })
})

describe('the environment of mmdebstrap', () => {
  it('has nothing that a package script would take for its own', () => {
    const environment = {
      PATH: '/bin',
      HOME: '/root',
      http_proxy: 'http://proxy:3128',
      NO_PROXY: 'localhost',
    }
    const foreign = {
      ROOT: '/dev/sdb1',
      COMPRESS: 'none',
      RESUME: 'x',
      TZ: 'Asia/Tokyo',
      SOURCE_DATE_EPOCH: '0',
    }
    expect(hostEnvironment({ ...environment, ...foreign })).toEqual(environment)
  })
})
