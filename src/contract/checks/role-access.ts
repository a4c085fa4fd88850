/** Checks where sshd listens in each role, and the firewall in front of it. */

import { namesIn } from '../../disk/image-files.ts'
import { type ContentCheck, judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { everyRole } from '../scenes.ts'

const listening: SceneCheck = {
  id: 'D7',
  group: 'role',
  at: 'scene',
  scenes: everyRole,
  needs: 'taken',
  does: 'lists the addresses that sshd listens on',
  run: async ({ guest, bootArguments }) => {
    const found = await linesOf(guest, 'ss -Hltnp | awk \'/"sshd"/ { print $4 }\'')
    const hosts = found.map((address) => address.replace(/:\d+$/, ''))
    const wanted = bootArguments?.addresses[bootArguments.control]?.address ?? ''
    return judge(
      hosts.join() === wanted ? [] : [`${found.join(' ') || 'nowhere'}, not ${wanted} alone`],
      wanted,
    )
  },
}

const firewalls = ['consoleproxy', 'secstorage', 'router', 'vpcrouter', 'dhcpsrvr', 'elbvm', 'ilbvm'].map(
  (role) => `iptables-${role}`,
)

const firewallFiles: ContentCheck = {
  id: 'D8',
  group: 'role',
  at: 'content',
  does: 'looks in /etc/iptables for the rules of each role, and for the tables of routes',
  run: async ({ files }) => {
    const found = await namesIn(files, '/etc/iptables')
    const missing = [...firewalls, 'rt_tables_init'].filter((name) => !found.includes(name))
    return judge(
      missing.map((name) => `no /etc/iptables/${name}`),
      `${firewalls.length} roles`,
    )
  },
}

const sshRule: SceneCheck = {
  id: 'D9',
  group: 'role',
  at: 'scene',
  scenes: everyRole,
  needs: 'taken',
  does: 'lists the rules of iptables in force',
  run: async ({ guest, bootArguments }) => {
    const rules = await linesOf(guest, 'iptables -S INPUT')
    const doors = rules.filter((rule) => /--dport 3922\b/.test(rule) && /-j ACCEPT$/.test(rule))
    const wanted = `eth${bootArguments?.control}`
    const faults = doors.some((rule) => rule.includes(`-i ${wanted} `))
      ? []
      : [`no rule lets 3922 in on ${wanted}`]
    for (const rule of doors) {
      const on = / -i (\S+)/.exec(rule)?.[1]
      if (on !== wanted) faults.push(`3922 is open on ${on ?? 'every interface'}`)
    }
    if (!rules.includes('-P INPUT DROP')) faults.push('traffic that matches no rule is let in')
    return judge(faults, doors.join(', '))
  },
}

export const roleAccessChecks: readonly SceneCheck[] = [listening, sshRule]

export const firewallContentChecks: readonly ContentCheck[] = [firewallFiles]
