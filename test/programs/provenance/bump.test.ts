/** `lock update --bump` against archives on this host. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { parseSimulation } from '../../../src/installers/bootstrap/predict.ts'
import { systemvmImage } from '../../e2e/program.ts'
import { useFolder } from '../../support/folder.ts'
import { startMirror, type TestMirror } from '../../support/mirror.ts'
import { startSnapshots, type TestSnapshots } from '../../support/snapshots.ts'
import { tinyPipeline } from '../../support/tiny-pipeline.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
let mirror: TestMirror

/** What the tiny pipeline installs, in a suite whose kernel has another name in every version. */
const packages = {
  ...{ 'base-files': '13', 'sysvinit-utils': '3', 'initramfs-tools': '1', 'init-system-helpers': '1' },
  ...{ 'lsb-base': '11', 'debian-archive-keyring': '2025', iproute2: '6', 'openssh-server': '10' },
  ...{ 'systemd-sysv': '257', tzdata: '2026', udev: '257', zstd: '1.5', nano: '8', other: '1' },
  ...{ 'linux-image-cloud-amd64': '6.1', 'linux-image-6.1-cloud/linux': '6.1' },
}
const fields = {
  'base-files': 'Essential: yes',
  'sysvinit-utils': 'Essential: yes\nProvides: lsb-base (= 11)',
  // A solver that starts from nothing takes lsb-base, the package.
  'initramfs-tools': 'Depends: lsb-base (>= 11)',
  'linux-image-cloud-amd64': 'Depends: linux-image-6.1-cloud (= 6.1)',
}

const lockFile = () => path('pipeline.lock.yaml')
const readLock = () => parse(readFileSync(lockFile(), 'utf8')).variants['trixie-x86_64']
const run = async (words: readonly string[]) => {
  const { exitCode, stdout, stderr } = await systemvmImage(
    [...words, '--pipeline', path('pipeline.ts'), '--out', path('out')],
    120,
  )
  return { exitCode, stdout, stderr }
}

const keysIn = (text: string) => text.match(/[0-9a-f]{64}/g) ?? []

beforeEach(async () => {
  mirror = await startMirror()
  mirror.publish('trixie', { packages, fields })
  writeFileSync(path('pipeline.ts'), `export { default } from ${JSON.stringify(tinyPipeline)}\n`)
})
afterEach(() => mirror.close())

describeWith(['gpg', 'gpgv', 'xz', 'apt-get'], 'a lock moved to what the archives have today', () => {
  const bump = (...more: string[]) => {
    const words = ['debian', 'security', 'keyring'] as const
    const settings = words.flatMap((name) => ['--set', `mirror.${name}=${mirror[name]}`])
    return run(['lock', 'update', '--bump', ...settings, ...more])
  }

  it('has what would be installed, with the checksums of the signed indexes, and nothing else', async () => {
    const first = await bump()
    expect(first, first.stderr).toMatchObject({ exitCode: 0 })
    const { packages: locked, archives, snapshot } = readLock()
    const { 'lsb-base': _notInstalled, other: _other, ...installed } = packages
    const names = Object.keys(installed).map((name) => name.split('/')[0])
    expect(Object.keys(locked)).toEqual(names.filter((name) => name !== 'init-system-helpers').sort())
    expect(locked.zstd).toEqual({
      version: '1.5',
      architecture: 'amd64',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(Object.keys(archives)).toEqual(['trixie', 'trixie-security', 'trixie-updates'])
    expect(snapshot).toBeNull()
  })

  it('says what is new, gone and newer, and which of it is a security fix', async () => {
    await bump()
    const kernel = { 'linux-image-cloud-amd64': '6.2', 'linux-image-6.2-cloud/linux': '6.2' }
    const newer = { 'linux-image-cloud-amd64': 'Depends: linux-image-6.2-cloud (= 6.2)' }
    mirror.publish('trixie-security', { packages: kernel, fields: newer })
    mirror.publish('trixie-updates', { packages: { tzdata: '2027' } })
    const before = readFileSync(lockFile(), 'utf8')
    const shown = await bump('--dry-run')
    expect(shown.stdout.split('\n').filter((line) => !line.includes('archive'))).toEqual([
      'trixie-x86_64: 6 changes; packages: 1 added, 1 removed, 2 upgraded; security fixes: 2',
      '  package linux-image-6.1-cloud: 6.1 → nothing',
      '  package linux-image-6.2-cloud: nothing → 6.2, a security fix',
      '  package linux-image-cloud-amd64: 6.1 → 6.2, a security fix',
      '  package tzdata: 2026 → 2027',
    ])
    expect(readFileSync(lockFile(), 'utf8')).toBe(before)
    const [change] = JSON.parse((await bump('--json')).stdout)
    expect(change).toMatchObject({
      packages: { removed: [{ name: 'linux-image-6.1-cloud', version: '6.1' }] },
      security: ['linux-image-6.2-cloud', 'linux-image-cloud-amd64'],
    })
    expect(Object.keys(readLock().packages)).toContain('linux-image-6.2-cloud')
    expect((await bump()).stdout).toBe('trixie-x86_64: nothing changes')
  })

  it('is not written where nothing can be installed, or nothing is proved', async () => {
    mirror.publish('trixie', { packages: { zstd: '1' } })
    const unfit = await bump()
    expect(unfit).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('Unable to locate package') })
    mirror.serve('/debian/dists/trixie/InRelease', Buffer.from('not signed'))
    expect(await bump()).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('is not signed') })
    expect(existsSync(lockFile())).toBe(false)
  })

  it('is not known of an installer that decides while it installs', async () => {
    expect(await bump('--installer', 'debian-installer')).toMatchObject({
      exitCode: 3,
      stderr: expect.stringContaining('build with --refresh'),
    })
  })
})

describeWith(['gpg', 'gpgv', 'xz', 'apt-get'], "mirror.snapshot: 'latest'", () => {
  let snapshots: TestSnapshots
  beforeEach(async () => {
    snapshots = await startSnapshots(mirror)
    snapshots.take('20260101T000000Z')
    snapshots.take('20260102T000000Z')
  })
  afterEach(() => snapshots.close())

  it('is the instant that the lock has, and none before there is one', async () => {
    const before = await run(['plan', ...snapshots.words])
    expect(before).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('lock update --bump') })
    expect(await run(['lock', 'update', '--bump', ...snapshots.words])).toMatchObject({ exitCode: 0 })
    const url = `${snapshots.url}/debian/20260102T000000Z`
    expect(readLock()).toMatchObject({ snapshot: '20260102T000000Z', archives: { trixie: { url } } })
    // Something newer changes nothing by itself, and takes no question.
    snapshots.take('20260103T000000Z')
    snapshots.refuse(429)
    const { stdout } = await run(['plan', '--json', ...snapshots.words])
    const fixed = await run([
      'plan',
      '--json',
      ...snapshots.words,
      '--set',
      'mirror.snapshot=20260102T000000Z',
    ])
    expect(keysIn(stdout)).toEqual(keysIn(fixed.stdout))
    expect(keysIn(stdout)).not.toEqual([])
  })

  it('is the newest of which both archives have everything', async () => {
    mirror.publish('trixie', { packages: { ...packages, tzdata: '2027' }, fields })
    snapshots.take('20260103T120000Z', ['debian'])
    snapshots.take('20260103T060000Z', ['debian-security'])
    await run(['lock', 'update', '--bump', ...snapshots.words])
    expect(readLock()).toMatchObject({
      snapshot: '20260103T060000Z',
      packages: { tzdata: { version: '2026' } },
    })
    snapshots.take('20260104T000000Z')
    const { stdout } = await run(['lock', 'update', '--bump', ...snapshots.words])
    expect(stdout).toContain('  snapshot: 20260103T060000Z → 20260104T000000Z\n')
    expect(stdout).toContain('  package tzdata: 2026 → 2027')
  })

  it('stays as it was where the archive does not say which is its newest', async () => {
    await run(['lock', 'update', '--bump', ...snapshots.words])
    const before = readFileSync(lockFile(), 'utf8')
    snapshots.refuse(429)
    const refused = await run(['lock', 'update', '--bump', ...snapshots.words])
    expect(refused).toMatchObject({ exitCode: 3, stderr: expect.stringContaining('it answers HTTP 429') })
    expect(readFileSync(lockFile(), 'utf8')).toBe(before)
  })
})

describe('what apt would install', () => {
  it('is read from its lines, whether something is replaced or not', () => {
    const text = `Reading package lists...
Inst gcc-14-base (14.2.0-19 Debian:13.8/stable [amd64])
Inst libc6 [2.41-1] (2.41-12+deb13u5 Debian:13.8/stable, Debian-Security:13/stable-security [amd64]) []
Inst debconf (1:1.5.91 Debian:13.8/stable [all])
Inst nowhere (1 [amd64])
Conf libc6 (2.41-12+deb13u5 Debian:13.8/stable [amd64])`
    expect(parseSimulation(text)).toEqual([
      { name: 'gcc-14-base', version: '14.2.0-19', architecture: 'amd64' },
      { name: 'libc6', version: '2.41-12+deb13u5', architecture: 'amd64' },
      { name: 'debconf', version: '1:1.5.91', architecture: 'all' },
      { name: 'nowhere', version: '1', architecture: 'amd64' },
    ])
  })
})
