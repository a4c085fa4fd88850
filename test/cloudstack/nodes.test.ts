/**
 * Kubernetes nodes and shared file systems: nothing is copied into them, so what the image has is all that they get. Their
 * user data come as CloudStack gives them to a network without a router, on a disc.
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RoleName } from '../../src/guest/roles.ts'
import { type SystemVm, startSystemVm } from './host.ts'
import { buildImage, hasTheirPayload } from './image.ts'
import { describeWithSource } from './tree.ts'

const userData = `#cloud-config
write_files:
  - path: /opt/bin/of-user
    permissions: '0755'
    content: |
      #!/bin/sh
      echo ran
runcmd:
  - /opt/bin/of-user >/run/user-data
  - touch /home/cloud/success
`

describeWithSource('machines that cloud-init makes', () => {
  let work = ''
  let image = ''

  beforeAll(async () => {
    image = await buildImage()
    work = mkdtempSync(join(tmpdir(), 'cs-'))
  })
  afterAll(() => rmSync(work, { recursive: true, force: true }))

  describe.each<RoleName>(['cksnode', 'sharedfsvm'])('%s', (role) => {
    let vm: SystemVm
    const run = async (command: string, limitSeconds = 120) =>
      (await vm.guest.run(command, limitSeconds)).stdout.trim()

    beforeAll(async () => {
      const folder = join(work, role.slice(0, 3))
      mkdirSync(folder)
      vm = await startSystemVm({ image, role, folder, disc: makeDisc(folder, role) })
    })
    afterAll(() => vm?.close())

    it('runs the user data that it is given', async () => {
      const look = () => run('cat /run/user-data').catch(String)
      await expect.poll(look, { timeout: 900_000, interval: 5000 }).toBe('ran')
      expect(await run('cloud-init status --wait', 600)).toContain('status: done')
      expect(await run('cloud-id')).toBe('configdrive')
    })

    it('is reached by SSH on 22, and by no key of the management server', async () => {
      expect(await run("ss -Htln | awk '{print $4}' | sed 's/.*://' | sort -u")).toMatch(/^22$/m)
      expect(await run('cat /root/.ssh/authorized_keys')).toBe('')
      const { exitCode, stderr } = await vm.ssh('true', 60)
      expect(exitCode).not.toBe(0)
      // It was sshd that refused: the machine can be reached.
      expect(stderr).toContain('Permission denied (publickey)')
    })

    it('has no swap, now or later', async () => {
      expect(await run('swapon --noheadings')).toBe('')
      expect(await run("grep -v '^#' /etc/fstab")).not.toContain('swap')
    })

    // Skipped for a shared file system, which runs no containers.
    it.runIf(role === 'cksnode')(
      'has a container runtime that looks for plug-ins where they are unpacked',
      async () => {
        expect(await run('systemctl is-active containerd')).toBe('active')
        expect(await run('containerd config default | grep -c -e /opt/cni/bin -e /usr/lib/cni')).toBe('1')
        expect(
          await run(
            'mkdir -p /opt/cni/bin && readlink -f $(containerd config default | grep -o "/[a-z/]*cni[/bin]*" | head -n 1)',
          ),
        ).toBe('/opt/cni/bin')
      },
    )

    it('has said that it is up, without a failed unit', async () => {
      expect(await run('test -e /var/cache/cloud/boot_up_done && echo up')).toBe('up')
      // CloudStack's own scripts bring up eth1 and eth2 of every machine, configured or not.
      const expected = hasTheirPayload ? ['networking.service'] : []
      const failed = await run("systemctl list-units --failed --no-legend --plain | awk '{ print $1 }'")
      expect(failed.split('\n').filter((unit) => unit !== '' && !expected.includes(unit))).toEqual([])
    })
  })
}, ['genisoimage'])

/** A disc as CloudStack writes them: in OpenStack's form. */
function makeDisc(folder: string, role: string): string {
  const [tree, disc] = [join(folder, 'disc'), join(folder, 'disc.iso')]
  mkdirSync(join(tree, 'openstack/latest'), { recursive: true })
  const metadata = {
    uuid: 'd2b6a1f0-5a5e-4d0e-9c5e-0c1f4a2b3c4d',
    hostname: `${role}-1`,
    'local-hostname': `${role}-1`,
  }
  writeFileSync(join(tree, 'openstack/latest/meta_data.json'), JSON.stringify(metadata))
  writeFileSync(join(tree, 'openstack/latest/user_data'), userData)
  writeFileSync(join(tree, 'openstack/latest/vendor_data.json'), '{}')
  execFileSync('genisoimage', ['-quiet', '-J', '-R', '-V', 'config-2', '-o', disc, tree])
  return disc
}
