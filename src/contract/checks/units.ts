/** Checks what systemd enables and runs. */

import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { once } from '../scenes.ts'

const firstBoot = ['cloud-preinit', 'cloud-early-config', 'cloud-postinit']
/** Units of roles and of other hypervisors; a unit that a suite lacks counts as not enabled. */
const waiting = [
  ...[
    'apache2',
    'conntrackd',
    'dnsmasq',
    'haproxy',
    'keepalived',
    'radvd',
    'frr',
    'strongswan-starter',
    'xl2tpd',
  ],
  ...['nfs-server', 'open-vm-tools', 'xe-daemon', 'containerd', 'cloud-init', 'cloud'],
]

const units: SceneCheck = {
  id: 'B10',
  group: 'boot',
  at: 'scene',
  scenes: ['boot', 'no-data'],
  does: 'asks systemd what is enabled, before any role is known, and what runs',
  run: async ({ guest }) => {
    const list = async (names: readonly string[], verb: string) =>
      linesOf(
        guest,
        `for u in ${names.join(' ')}; do printf '%s %s\\n' $u "$(systemctl ${verb} $u.service 2>/dev/null)"; done`,
      )
    const enabled = (await list(firstBoot, 'is-enabled')).filter((line) => !line.endsWith(' enabled'))
    const early = (await list(waiting, 'is-enabled')).filter((line) => line.endsWith(' enabled'))
    const running = (await list(waiting, 'is-active')).filter((line) => line.endsWith(' active'))
    const faults = [
      ...enabled.map((line) => `${line.trim().replace(' ', ' is ') || 'missing'}, not enabled`),
      ...early.map((line) => line.replace(' ', ' is ')),
      ...running.map((line) => `${line.replace(' ', ' is ')}`),
    ]
    return judge(faults, `${firstBoot.join(', ')} enabled, ${waiting.length} others not`)
  },
}

const upgrades: SceneCheck = {
  id: 'B13',
  group: 'boot',
  at: 'scene',
  scenes: once,
  does: 'lists timers and services that upgrade packages',
  run: async ({ guest }) => {
    const timers = await linesOf(guest, 'systemctl list-timers --all --no-legend --plain')
    const active = timers.filter((line) => /apt-daily|unattended|packagekit/.test(line))
    return judge(active, `${timers.length} timers, none of apt's`)
  },
}

export const unitChecks: readonly SceneCheck[] = [units, upgrades]
