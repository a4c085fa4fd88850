/** Checks that stand in for hypervisors not available here, and a check of Apache's TLS. */

import type { Arch } from '../../arch.ts'
import { failed, judge, passed, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'

/** On ARM, CloudStack supports only KVM hosts. */
const drivers: Readonly<Record<Arch, readonly string[]>> = {
  x86_64: [
    'virtio_blk',
    'virtio_scsi',
    'xen_blkfront',
    'hv_storvsc',
    'vmw_pvscsi',
    'mptspi',
    'ahci',
    'ata_piix',
    'sd_mod',
  ],
  aarch64: ['virtio_blk', 'virtio_scsi', 'sd_mod'],
}

const initramfs: SceneCheck = {
  id: 'G2',
  group: 'boot',
  at: 'scene',
  scenes: ['secstorage'],
  does: "lists the running kernel's initramfs",
  run: async ({ guest, acceleration }) => {
    const wanted = drivers[acceleration.arch]
    const script = 'k=$(uname -r); lsinitramfs /boot/initrd.img-$k; cat /lib/modules/$k/modules.builtin'
    const names = new Set(
      (await linesOf(guest, script, 600)).map((path) =>
        (path.split('/').at(-1) ?? '').replace(/\.ko.*$/, '').replaceAll('-', '_'),
      ),
    )
    const missing = wanted.filter((driver) => !names.has(driver))
    return judge(
      missing.map((driver) => `no ${driver}`),
      wanted.join(' '),
    )
  },
}

const dmi: SceneCheck = {
  id: 'E5',
  group: 'hand-over',
  at: 'scene',
  scenes: ['virtualbox'],
  does: "hands over boot arguments in a DMI string like VirtualBox's, and looks for the record of it",
  run: async ({ guest, bootArguments }) => {
    const { stdout } = await guest.run('cat /var/cache/cloud/cmd_line.json')
    return stdout.includes(`"${bootArguments?.name}"`)
      ? passed(`${bootArguments?.name}`)
      : failed('the guest took nothing from it')
  },
}

const hypervDaemons: SceneCheck = {
  id: 'E3',
  group: 'boot',
  at: 'scene',
  scenes: ['secstorage'],
  does: "asks systemd whether Hyper-V's daemons or VMware's tools run on KVM",
  run: async ({ guest }) => {
    const running = await linesOf(
      guest,
      'for u in hv-kvp-daemon hv-vss-daemon hv-fcopy-daemon open-vm-tools vgauth xe-daemon; do systemctl -q is-active $u && echo $u; done',
    )
    return judge(
      running.map((unit) => `${unit} runs on KVM`),
      'none runs',
    )
  },
}

const tls: SceneCheck = {
  id: 'F7',
  group: 'boot',
  at: 'scene',
  scenes: ['secstorage'],
  does: 'reads the certificates, and offers apache each version of TLS',
  run: async ({ guest }) => {
    const faults: string[] = []
    const [certificates = '0'] = await linesOf(
      guest,
      'grep -c "BEGIN CERTIFICATE" /etc/ssl/certs/ca-certificates.crt',
    )
    if (Number(certificates) < 50) faults.push(`${certificates} certificates`)
    // Without security level 0, our own client would refuse the old versions.
    const taken = await linesOf(
      guest,
      // CloudStack's own scripts make Apache listen on the public address only.
      `at=$(ss -Hltn 'sport = :443' | awk '{ sub("[*]", "127.0.0.1", $4); print $4; exit }')
       for v in tls1 tls1_1 tls1_2 tls1_3; do
         openssl s_client -connect "$at" -$v -cipher ALL:@SECLEVEL=0 </dev/null 2>/dev/null |
           grep -q 'BEGIN CERTIFICATE' && echo $v
       done`,
    )
    faults.push(
      ...taken.filter((version) => /^tls1(_1)?$/.test(version)).map((version) => `apache accepts ${version}`),
    )
    if (!taken.includes('tls1_2')) faults.push('apache does not accept tls1_2')
    return judge(faults, `${certificates} certificates, ${taken.join(' and ')}`)
  },
}

export const hypervisorChecks: readonly SceneCheck[] = [initramfs, dmi, hypervDaemons, tls]
