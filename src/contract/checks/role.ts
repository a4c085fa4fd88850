/** More checks of a role: log rotation, service names, user data. */

import { userDataFile } from '../../guest/boot-arguments.ts'
import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { inRoles, type SceneName } from '../scenes.ts'

const logs: SceneCheck = {
  id: 'D10',
  group: 'role',
  at: 'scene',
  scenes: ['router'],
  does: "reads logrotate's configuration as logrotate does, and looks for haproxy's log in it, and asks systemd for its timer",
  run: async ({ guest }) => {
    const { stderr, exitCode } = await guest.run('logrotate --debug /etc/logrotate.conf', 120)
    const faults = exitCode === 0 ? [] : [`logrotate: ${stderr.match(/^error:.*$/m)?.[0] ?? exitCode}`]
    const patterns = stderr.split('\n').filter((line) => line.includes('rotating pattern: '))
    const section = patterns.find((line) => line.includes('haproxy'))
    if (section === undefined) faults.push("haproxy's log is not rotated")
    const timers = await linesOf(guest, 'systemctl is-enabled logrotate.timer')
    if (timers[0] !== 'enabled') faults.push(`logrotate.timer is ${timers[0] ?? 'missing'}`)
    return judge(faults, section ?? '')
  },
}

/** CloudStack's names for the services of each scene's role, sorted. */
const serviceNames: Partial<Record<SceneName, readonly string[]>> = {
  port: ['cloud'],
  consoleproxy: ['cloud'],
  secstorage: ['apache2', 'cloud', 'nfs-common', 'portmap'],
  router: ['apache2', 'dnsmasq', 'frr', 'haproxy', 'radvd'],
  'redundant-router': ['apache2', 'frr', 'haproxy', 'keepalived'],
  vpcrouter: ['apache2', 'dnsmasq', 'frr', 'haproxy'],
  dhcpsrvr: ['apache2', 'dnsmasq'],
  elbvm: ['haproxy'],
  ilbvm: ['haproxy'],
}

const services: SceneCheck = {
  id: 'D14',
  group: 'role',
  at: 'scene',
  scenes: inRoles,
  needs: 'taken',
  does: 'reads the names in /var/cache/cloud/enabled_svcs and disabled_svcs',
  run: async ({ guest, name }) => {
    const namesOf = async (file: string) =>
      (await linesOf(guest, `cat /var/cache/cloud/${file}`)).flatMap((line) => line.split(/\s+/)).sort()
    const enabled = await namesOf('enabled_svcs')
    const disabled = await namesOf('disabled_svcs')
    const wanted = serviceNames[name] ?? []
    const faults =
      enabled.join() === wanted.join() ? [] : [`${enabled.join(' ') || 'none'}, not ${wanted.join(' ')}`]
    if (disabled.length === 0) faults.push('none is disabled')
    for (const both of disabled.filter((one) => enabled.includes(one)))
      faults.push(`${both} is in both files`)
    return judge(faults, `${enabled.join(' ')}; not ${disabled.join(' ')}`)
  },
}

const userData: SceneCheck = {
  id: 'D16',
  group: 'role',
  at: 'scene',
  scenes: ['dhcpsrvr'],
  needs: 'taken',
  does: 'looks for the file that user data leaves behind, and whether it is older than boot_up_done',
  run: async ({ guest, bootArguments }) => {
    const done = '/var/cache/cloud/boot_up_done'
    const found = await linesOf(
      guest,
      `test -e ${userDataFile} && echo left; test ${done} -nt ${userDataFile} && echo before; cat /etc/hostname`,
    )
    const faults = found.includes('left') ? [] : ['the user data has not run']
    if (!found.includes('before')) faults.push('it did not run before boot_up_done')
    // CloudStack sets the host name and everything else that user data does not.
    if (found.at(-1) !== bootArguments?.name) faults.push(`the host name is ${found.at(-1)}`)
    const logged = await linesOf(guest, 'grep -h "user data" /var/log/cloud.log')
    return judge(faults.length === 0 ? [] : [...faults, ...logged], logged.at(-1) ?? 'it has run')
  },
}

export const roleChecks: readonly SceneCheck[] = [logs, services, userData]
