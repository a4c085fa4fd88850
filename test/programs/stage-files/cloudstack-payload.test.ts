import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { configure_systemvm_services } from '../../../provisioners/configure_systemvm_services.ts'
import type { ContractName } from '../../../src/config/contract.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { contractOf } from '../../../src/contract/expected.ts'
import { sceneChecksOf } from '../../../src/contract/registry.ts'
import { scenesFor } from '../../../src/contract/scenes.ts'
import { chooseContract } from '../../../src/stage-files/choose-contract.ts'
import { provideFiles } from '../../../src/stage-files/provide-files.ts'
import { packedFiles, writeSources } from '../../support/cloudstack-sources.ts'
import { useFolder } from '../../support/folder.ts'
import { fakeImageFiles } from '../../support/image-files.ts'
import { sound } from '../../support/pipelines.ts'

const path = useFolder()

/** Path of the archive that is brought for a payload. */
async function archiveOf(payload: string): Promise<string> {
  const { images } = await resolvePipeline({ ...sound, stages: [configure_systemvm_services({ payload })] })
  const [image] = await provideFiles(images, path('cache', 'files'))
  const folder = image?.stages[0]?.files.payload as string
  expect(readdirSync(folder)).toEqual(['cloud-scripts.tgz'])
  return join(folder, 'cloud-scripts.tgz')
}

async function faultOf(payload: string): Promise<string> {
  const error = await archiveOf(payload).then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toMatchObject({ code: 'configuration', exitCode: 2 })
  return error.details.faults[0].rule
}

const sumOf = (file: string, algorithm = 'sha512') =>
  createHash(algorithm).update(readFileSync(file)).digest('hex')

/** What an archive lists: names with their modes in octal, and owners. */
function listOf(archive: string) {
  const lines = execFileSync('tar', ['--list', '--verbose', '--numeric-owner', '--file', archive], {
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  })
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [letters = '', owner = '', , day = '', , name = ''] = line.split(/\s+/)
      const digits = [1, 4, 7].map((at) =>
        [...letters.slice(at, at + 3)].reduce((sum, letter) => sum * 2 + (letter === '-' ? 0 : 1), 0),
      )
      return { name, mode: digits.join(''), owner, day }
    })
}

const modesOf = (archive: string) => Object.fromEntries(listOf(archive).map(({ name, mode }) => [name, mode]))

/** A release as Apache publishes it: one folder at the top, packed by bzip2 or gzip. */
function release(name: string, option: string): string {
  writeSources(path('release', 'apache-cloudstack-4.22.0.0-src'))
  const tarball = path(name)
  execFileSync('tar', [
    '--create',
    option,
    '--file',
    tarball,
    '--directory',
    path('release'),
    'apache-cloudstack-4.22.0.0-src',
  ])
  return tarball
}

describe("CloudStack's sources as payload", () => {
  it('are packed as its own build packs them', async () => {
    writeSources(path('checkout'))
    const archive = await archiveOf(path('checkout'))
    expect(modesOf(archive)).toEqual(packedFiles)
    const list = listOf(archive)
    expect(new Set(list.map(({ owner }) => owner))).toEqual(new Set(['0/0']))
    // The date of the pipeline.
    expect(new Set(list.map(({ day }) => day))).toEqual(new Set([sound.date]))
    expect(list.map(({ name }) => name).sort()).toHaveLength(Object.keys(packedFiles).length)
  })

  it('give the same bytes whatever a checkout made of modes and times', async () => {
    writeSources(path('one'), 0o600)
    writeSources(path('other'), 0o775)
    utimesSync(path('other', 'systemvm', 'debian', 'etc', 'sysctl.conf'), 1, 1)
    const first = await archiveOf(path('one'))
    const second = await archiveOf(path('other'))
    expect(second).not.toBe(first)
    expect(sumOf(second)).toBe(sumOf(first))
    writeFileSync(path('other', 'systemvm', 'debian', 'etc', 'sysctl.conf'), 'another\n')
    expect(sumOf(await archiveOf(path('other')))).not.toBe(sumOf(first))
  })

  it('may be named by their systemvm/debian', async () => {
    writeSources(path('checkout'))
    const whole = await archiveOf(path('checkout'))
    expect(await archiveOf(path('checkout', 'systemvm', 'debian'))).toBe(whole)
  })

  it.each([
    ['apache-cloudstack-4.22.0.0-src.tar.bz2', '--bzip2'],
    ['apache-cloudstack-4.22.0.0-src.tar.gz', '--gzip'],
  ])('may be a release, with the checksum that Apache publishes: %s', async (name, option) => {
    const tarball = release(name, option)
    const archive = await archiveOf(`${tarball}#sha512=${sumOf(tarball)}`)
    expect(modesOf(archive)).toEqual(packedFiles)
    const wrong = '0'.repeat(128)
    expect(await faultOf(`${tarball}#sha512=${wrong}`)).toBe(`has a different sha512, ${sumOf(tarball)}`)
    expect(await faultOf(`${tarball}#sha512=12`)).toBe('must have 128 hexadecimal digits after #sha512=')
  })

  it('are refused without what is packed', async () => {
    writeSources(path('checkout'))
    rmSync(path('checkout', 'scripts', 'util', 'keystore-setup'))
    expect(await faultOf(path('checkout'))).toBe(
      'has systemvm/debian in it, but no scripts/util/keystore-setup, which belongs to it',
    )
    rmSync(path('checkout', 'systemvm', 'debian'), { recursive: true })
    expect(await faultOf(path('checkout'))).toBe(
      "looks like CloudStack's sources, but has no systemvm/debian in it",
    )
  })
})

describe('somebody else’s sources', () => {
  it.each([
    ['.', /^has "cloudstack" at its top/],
    ['systemvm/debian', /^has a link where systemvm\/debian should be a folder$/],
    ['scripts/util', /^has a link where scripts\/util should be a folder$/],
    ['systemvm/debian/root', /^has root among the files to pack, which is neither a file nor a folder$/],
  ])('cannot have this host packed by a link at %s', async (name, rule) => {
    writeSources(path('release', 'cloudstack'))
    writeSources(path('elsewhere'))
    rmSync(path('release', 'cloudstack', name), { recursive: true })
    symlinkSync(path('elsewhere', name), path('release', 'cloudstack', name))
    const tarball = path('release.tgz')
    execFileSync('tar', ['-czf', tarball, '-C', path('release'), 'cloudstack'])
    expect(await faultOf(tarball)).toMatch(rule)
  })

  it('cannot give orders to tar by the names of their files', async () => {
    writeSources(path('checkout'))
    const names = ['--checkpoint=1', `--checkpoint-action=exec=echo $PWD >>marks`, '-h']
    for (const name of names) writeFileSync(path('checkout', 'systemvm', 'debian', name), '')
    const archive = await archiveOf(path('checkout'))
    const listed = execFileSync('tar', ['--list', '--file', archive], { encoding: 'utf8' })
    for (const name of names) expect(listed).toContain(name.slice(0, 12))
    expect(existsSync('marks')).toBe(false)
  })
})

describe('the archive of a package as payload', () => {
  it('is kept as it is', async () => {
    writeSources(path('checkout'))
    const packed = path('cloud-scripts.tgz')
    cpSync(await archiveOf(path('checkout')), packed)
    rmSync(path('cache'), { recursive: true })
    // As ant packs it: other times, another compression.
    execFileSync('sh', ['-c', `gzip -d <${packed} | gzip -1 >${packed}.1 && mv ${packed}.1 ${packed}`])
    expect(sumOf(await archiveOf(packed))).toBe(sumOf(packed))
    expect(sumOf(await archiveOf(`${packed}#sha256=${sumOf(packed, 'sha256')}`))).toBe(sumOf(packed))
  })

  it('is refused with something strange at its top', async () => {
    writeSources(path('checkout'))
    mkdirSync(path('tree'))
    execFileSync('tar', ['-xf', await archiveOf(path('checkout')), '-C', path('tree')])
    mkdirSync(path('tree', 'proc'))
    execFileSync('tar', ['-czf', path('strange.tgz'), '-C', path('tree'), ...readdirSync(path('tree'))])
    expect(await faultOf(path('strange.tgz'))).toMatch(/^has "proc" at its top/)
  })
})

describe('the contract', () => {
  async function chosenFor(payload: string | undefined, contract: ContractName): Promise<string> {
    const settings = payload === undefined ? {} : { payload }
    const { images } = await resolvePipeline({
      ...sound,
      verification: { contract },
      stages: [configure_systemvm_services(settings)],
    })
    const [image] = await provideFiles(images, path('cache', 'files'))
    const { verification } = await chooseContract(image as ResolvedImage)
    return verification.contract
  }

  it('follows from the payload', async () => {
    writeSources(path('checkout'))
    expect(await chosenFor(undefined, 'cloudstack')).toBe('cloudstack')
    expect(await chosenFor(path('checkout'), 'cloudstack')).toBe('cloudstack-payload')
    // A tree that was taken from its sources.
    cpSync(path('checkout', 'systemvm', 'debian'), path('tree'), { recursive: true })
    rmSync(path('tree', '.project'))
    expect(await chosenFor(path('tree'), 'cloudstack')).toBe('cloudstack-payload')
  })

  it('is that which was chosen by hand', async () => {
    expect(await chosenFor(undefined, 'cloudstack-payload')).toBe('cloudstack-payload')
  })

  it('of a file that somebody else has built follows from what is on its disk', async () => {
    const bootstrap = { '/opt/cloud/bin/setup/bootstrap.sh': '#!/bin/sh' }
    expect(await contractOf(fakeImageFiles({ files: {} }))).toBe('cloudstack')
    expect(await contractOf(fakeImageFiles({ files: bootstrap }))).toBe('cloudstack-payload')
  })

  it('asks CloudStack’s own first boot for nothing that only this project’s has', () => {
    const asked = (name: ContractName) =>
      scenesFor('kvm', name, { arch: 'x86_64' }).flatMap((scene) =>
        sceneChecksOf(scene, name).map(({ id }) => `${id} ${scene}`),
      )
    expect(scenesFor('kvm', 'cloudstack-payload', { arch: 'x86_64' })).not.toContain('port')
    expect(asked('cloudstack-payload')).not.toContain('G8 secstorage')
    expect(asked('cloudstack-payload')).toContain('E6 secstorage')
    expect(asked('cloudstack-payload')).toContain('D1 consoleproxy')
    expect(asked('cloudstack')).not.toContain('E6 secstorage')
  })
})
