/** The system VM template itself: built if it is not there, read from outside, and booted through its own GRUB. */

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { $ as shell } from 'zx'
import { defaultPipeline, loadPipeline } from '../../src/config/load.ts'
import type { ResolvedImage } from '../../src/config/resolved.ts'
import { type DiskFiles, openDisk } from '../../src/inspect/disk-files.ts'
import type { Report } from '../../src/report/report.ts'
import { bootImage, type Guest } from './guest.ts'
import { readReport, systemvmImage } from './program.ts'

const $ = shell({ quiet: true, nothrow: true, timeout: '2m' })

// The user's own output folder, so that an image that was just built is not built again.
const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const variant = process.env.SYSTEMVM_TEST_VARIANT ?? 'trixie-x86_64'
let image: ResolvedImage
let report: Report
let file: string

beforeAll(async () => {
  const { images } = await loadPipeline(defaultPipeline, [])
  image = images.find((candidate) => candidate.variant === variant) as ResolvedImage
  const built = await systemvmImage(['build', '--variant', variant, '--out', outFolder], 3000)
  expect(built.exitCode, built.stderr).toBe(0)
  report = await readReport(outFolder)
  file = join(outFolder, report.images[0]?.path ?? '')
})

describe('the report', () => {
  it('has the fourteen stages, each with its build_time, and checksums of all that it promised', () => {
    expect(report.stages.map(({ name }) => name)).toEqual([
      'build_time',
      'apt_upgrade',
      'configure_grub',
      'configure_locale',
      'configure_login',
      'configure_networking',
      'configure_acpid',
      'install_systemvm_packages',
      'configure_conntrack',
      'configure_systemvm_services',
      'authorized_keys',
      'configure_persistent_config',
      'cleanup',
      'zerodisk',
    ])
    for (const stage of report.stages) {
      expect(stage.build_time, stage.name).toBeGreaterThan(0)
      const promised = image.stages.find(({ name }) => name === stage.name)?.leaves ?? []
      expect(
        stage.artifacts.map(({ path }) => path),
        stage.name,
      ).toEqual(promised)
      for (const { sha256, path } of stage.artifacts) expect(sha256, path).toMatch(/^[0-9a-f]{64}$/)
    }
  })

  it('finds every package of the stages installed before they ran', () => {
    const stage = report.stages.find(({ name }) => name === 'install_systemvm_packages')
    expect(stage?.packages.added).toEqual([])
  })
})

describe('the file, unbooted', () => {
  let disk: DiskFiles
  let paths: readonly string[]
  beforeAll(async () => {
    const { signal } = new AbortController()
    disk = await openDisk(file, { format: 'qcow2', workFolder: tmpdir(), signal })
    paths = [...(await disk.list()).keys()]
  })
  afterAll(() => disk?.close())

  const read = async (path: string) => (await disk.read(path, { follow: true }))?.toString()

  it('has its filesystems where the pipeline says', () => {
    const found = disk.partitions.flatMap(({ mountPoint, filesystem }) =>
      mountPoint === undefined ? [] : [`${mountPoint} ${filesystem}`],
    )
    const wanted = image.disk.partitions.flatMap(({ mount, filesystem }) =>
      mount === undefined ? [] : [`${mount} ${filesystem}`],
    )
    expect(found.sort()).toEqual(wanted.sort())
  })

  it('is a sound qcow2 of the size that all hypervisors take exactly', async () => {
    expect((await $`qemu-img check ${file}`).exitCode).toBe(0)
    const { stdout } = await $`qemu-img info --output=json ${file}`
    expect(JSON.parse(stdout)['virtual-size']).toBe(5040 * 1024 * 1024)
  })

  it('has no identity of its own: no host key, no machine id, no random seed', async () => {
    expect(paths).toContain('/etc/ssh')
    expect(paths.filter((path) => path.startsWith('/etc/ssh/ssh_host_'))).toEqual([])
    expect(await read('/etc/machine-id')).toBe('')
    expect(await read('/var/lib/systemd/random-seed')).toBeUndefined()
  })

  it('has no password and no key that lets anybody in', async () => {
    const shadow = (await read('/etc/shadow')) ?? ''
    const fields = shadow
      .trim()
      .split('\n')
      .map((line) => line.split(':'))
    expect(fields.map(([name]) => name)).toContain(image.account.name)
    for (const [name, password] of fields) expect(password, name).toMatch(/^[!*]/)
    expect(await read('/root/.ssh/authorized_keys')).toBeUndefined()
    expect(await read(`/home/${image.account.name}/.ssh/authorized_keys`)).toBeUndefined()
  })

  it('has nothing of the build left in it', async () => {
    expect(await read('/usr/sbin/policy-rc.d')).toBeUndefined()
    expect(paths).toContain('/tmp')
    expect(paths.filter((path) => path.startsWith('/tmp/'))).toEqual([])
    expect(paths.filter((path) => /^\/var\/lib\/apt\/lists\/.*_dists_/.test(path))).toEqual([])
    expect((await read('/etc/resolv.conf')) ?? '').not.toMatch(/^nameserver/m)
    expect(await read('/root/.bash_history')).toBeUndefined()
  })
})

describe('the image, booted through its own GRUB', () => {
  let guest: Guest
  beforeAll(async () => {
    guest = await bootImage(file, join(outFolder, 'cache'))
    await guest.waitFor(new RegExp(`${image.hostname} login:`), 400)
    // The prompt may come before the last unit is up.
    await guest.run('systemctl is-system-running --wait')
  })
  afterAll(() => guest?.close())

  it('has no failed unit', async () => {
    const { stdout } = await guest.run('systemctl list-units --state=failed --no-legend --plain')
    expect(stdout).toBe('')
    expect((await guest.run('systemctl is-system-running')).stdout.trim()).toBe('running')
  })

  it('names its interfaces eth0 and so on', async () => {
    const { stdout } = await guest.run('ls /sys/class/net')
    expect(stdout.trim().split('\n').sort()).toEqual(['eth0', 'lo'])
  })

  it('has made a machine id and host keys of its own', async () => {
    expect((await guest.run('cat /etc/machine-id')).stdout).toMatch(/^[0-9a-f]{32}$/m)
    expect((await guest.run('ls /etc/ssh')).stdout).toMatch(/^ssh_host_ed25519_key$/m)
  })

  it('serves SSH on 3922 alone, to keys alone', async () => {
    const { stdout } = await guest.run("ss -Hltn | awk '{print $4}'")
    const ports = stdout
      .trim()
      .split('\n')
      .map((address) => address.split(':').at(-1))
    expect(ports).toContain('3922')
    expect(ports).not.toContain('22')
    const options = [
      'StrictHostKeyChecking=no',
      'UserKnownHostsFile=/dev/null',
      'BatchMode=yes',
      'ConnectTimeout=60',
    ]
    const flags = options.flatMap((option) => ['-o', option])
    const ssh =
      await $`ssh -v ${flags} -o PreferredAuthentications=none -p ${guest.sshPort} root@127.0.0.1 true`
    expect(ssh.exitCode).toBe(255)
    expect(ssh.stderr).toMatch(/Authentications that can continue: publickey\s*$/m)
    expect(ssh.stderr).toContain('Permission denied (publickey)')
  })

  it('finds the guest agent port by its name', async () => {
    expect((await guest.run('ls /dev/virtio-ports')).stdout.trim()).toBe('org.qemu.guest_agent.0')
  })

  it('powers off when its button is pressed', async () => {
    await guest.powerDown(120)
  })
})
