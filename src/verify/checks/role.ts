/** Checks of what a machine does in its role: its services, its firewall, and where sshd listens. */

import { type ContentCheck, judge, type SceneCheck } from '../check.ts'
import { namesIn } from '../image-files.ts'
import type { Scene, SceneName } from '../scenes.ts'
import { linesOf } from './boot.ts'

/** Units that a role may have; what is not among a role's own must neither run nor be enabled. */
const roleUnits = [
  'apache2',
  'cloud',
  'cloud-passwd-srvr',
  'conntrackd',
  'dnsmasq',
  'haproxy',
  'keepalived',
  'nfs-server',
] as const
type RoleUnit = (typeof roleUnits)[number]

interface RoleServices {
  /** Run after first boot. */
  readonly running: readonly RoleUnit[]
  /** Enabled, and may wait for what CloudStack brings later: its agent, or a configuration with something to serve. */
  readonly enabled?: readonly RoleUnit[]
}

/** CloudStack's own first boot has its password server under another name, and conntrackd once it is told of a pair. */
const ownUnits: readonly RoleUnit[] = ['cloud-passwd-srvr', 'conntrackd']

function ofContract({ contract }: Scene, { running, enabled = [] }: RoleServices): RoleServices {
  if (contract === 'cloudstack') return { running, enabled }
  return { running, enabled: enabled.filter((unit) => !ownUnits.includes(unit)) }
}

/** Faults of a machine's services. */
async function serviceFaults({ guest }: Scene, role: RoleServices): Promise<string[]> {
  const lines = await linesOf(
    guest,
    `for u in ${roleUnits.join(' ')}; do
       echo "$u $(systemctl is-enabled $u.service 2>/dev/null) $(systemctl is-active $u.service)"
     done`,
  )
  const states = new Map(
    lines.map((line) => {
      const [unit = '', ...words] = line.split(' ')
      return [unit, { isEnabled: words.includes('enabled'), isActive: words.at(-1) === 'active' }] as const
    }),
  )
  const { running, enabled = [] } = role
  return roleUnits.flatMap((unit) => {
    const { isEnabled = false, isActive = false } = states.get(unit) ?? {}
    if (running.includes(unit)) {
      return [...(isActive ? [] : [`${unit} does not run`]), ...(isEnabled ? [] : [`${unit} is not enabled`])]
    }
    if (enabled.includes(unit)) return isEnabled ? [] : [`${unit} is not enabled`]
    return [...(isActive ? [`${unit} runs`] : []), ...(isEnabled ? [`${unit} is enabled`] : [])]
  })
}

const describe = ({ running, enabled = [] }: RoleServices) =>
  [...running.map((unit) => `${unit} runs`), ...enabled.map((unit) => `${unit} is enabled`)].join(', ')

const consoleProxy: SceneCheck = {
  id: 'D1',
  group: 'role',
  at: 'scene',
  scenes: ['port', 'consoleproxy'],
  needs: 'taken',
  does: "asks systemd for the role's services and all others'",
  run: async (scene) => {
    const role: RoleServices = { running: [], enabled: ['cloud'] }
    return judge(await serviceFaults(scene, role), describe(role))
  },
}

const storage: SceneCheck = {
  id: 'D2',
  group: 'role',
  at: 'scene',
  scenes: ['secstorage'],
  needs: 'taken',
  does: 'asks systemd for services, and apache for its modules, and looks for cors.conf',
  run: async (scene) => {
    const role: RoleServices = { running: ['apache2'], enabled: ['cloud'] }
    const faults = await serviceFaults(scene, role)
    const { stdout } = await scene.guest.run(
      'apache2ctl -M; ls /etc/apache2/cors.conf; ls /etc/logrotate.d/cloud',
      120,
    )
    for (const module of ['proxy_module', 'proxy_http_module', 'headers_module'])
      if (!stdout.includes(` ${module} `)) faults.push(`apache has no ${module}`)
    if (!stdout.includes('/etc/apache2/cors.conf')) faults.push('no /etc/apache2/cors.conf')
    if (stdout.includes('/etc/logrotate.d/cloud')) faults.push('/etc/logrotate.d/cloud is still there')
    return judge(faults, `${describe(role)}, with proxy, proxy_http and headers`)
  },
}

const router: SceneCheck = {
  id: 'D3',
  group: 'role',
  at: 'scene',
  scenes: ['router'],
  needs: 'taken',
  does: 'asks systemd for services, and reads what dnsmasq was told',
  run: async (scene) => {
    const role = ofContract(scene, {
      running: ['dnsmasq', 'apache2'],
      enabled: ['haproxy', 'cloud-passwd-srvr'],
    })
    const faults = await serviceFaults(scene, role)
    const lines = await linesOf(scene.guest, 'cat /etc/dnsmasq.conf /etc/dnsmasq.d/*.conf')
    for (const pattern of [
      /^dhcp-range=.*10\.1\.1\./,
      /^dhcp-option=(6|option:dns-server),/,
      /^dhcp-option=(3|option:router),10\.1\.1\.1$/,
    ])
      if (!lines.some((line) => pattern.test(line))) faults.push(`dnsmasq has no line ${pattern.source}`)
    if ((await linesOf(scene.guest, 'ls /etc/dhcpopts.txt')).length === 0) faults.push('no /etc/dhcpopts.txt')
    return judge(faults, describe(role))
  },
}

const redundant: SceneCheck = {
  id: 'D4',
  group: 'role',
  at: 'scene',
  scenes: ['redundant-router'],
  needs: 'taken',
  does: 'asks systemd for services, and for a default route that must not be there',
  run: async (scene) => {
    const role = ofContract(scene, {
      running: ['apache2'],
      enabled: ['haproxy', 'keepalived', 'conntrackd', 'cloud-passwd-srvr'],
    })
    const faults = await serviceFaults(scene, role)
    faults.push(
      ...(await linesOf(scene.guest, 'ip -4 route show default')).map((line) => `there is a ${line}`),
    )
    return judge(faults, `${describe(role)}, no default route`)
  },
}

const vpc: SceneCheck = {
  id: 'D5',
  group: 'role',
  at: 'scene',
  scenes: ['vpcrouter'],
  needs: 'taken',
  does: 'lists the interfaces that have an address',
  run: async ({ guest }) => {
    const found = await linesOf(guest, 'ip -4 -o address show | awk \'$2 != "lo" { print $2 }\'')
    return judge(found.join() === 'eth0' ? [] : [`${found.join(' ') || 'none'} have addresses`], 'eth0')
  },
}

const otherRoles: SceneCheck = {
  id: 'D6',
  group: 'role',
  at: 'scene',
  scenes: ['dhcpsrvr', 'elbvm', 'ilbvm'],
  needs: 'taken',
  does: 'asks systemd for services',
  run: async (scene) => {
    const role = ofContract(
      scene,
      scene.name === 'dhcpsrvr'
        ? { running: ['dnsmasq', 'apache2'], enabled: ['cloud-passwd-srvr'] }
        : { running: [], enabled: ['haproxy'] },
    )
    return judge(await serviceFaults(scene, role), describe(role))
  },
}

const inRoles: readonly SceneName[] = [
  'secstorage',
  'port',
  'consoleproxy',
  'router',
  'redundant-router',
  'vpcrouter',
  'dhcpsrvr',
  'elbvm',
  'ilbvm',
]

const listening: SceneCheck = {
  id: 'D7',
  group: 'role',
  at: 'scene',
  scenes: inRoles,
  needs: 'taken',
  does: 'lists the addresses that sshd listens on',
  run: async ({ guest, handOver }) => {
    const found = await linesOf(guest, 'ss -Hltnp | awk \'/"sshd"/ { print $4 }\'')
    const hosts = found.map((address) => address.replace(/:\d+$/, ''))
    const wanted = handOver?.addresses[handOver.control]?.address ?? ''
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
  scenes: inRoles,
  needs: 'taken',
  does: 'lists the rules of iptables in force',
  run: async ({ guest, handOver }) => {
    const rules = await linesOf(guest, 'iptables -S INPUT')
    const doors = rules.filter((rule) => /--dport 3922\b/.test(rule) && /-j ACCEPT$/.test(rule))
    const wanted = `eth${handOver?.control}`
    const faults = doors.some((rule) => rule.includes(`-i ${wanted} `))
      ? []
      : [`no rule lets 3922 in on ${wanted}`]
    for (const rule of doors) {
      const on = / -i (\S+)/.exec(rule)?.[1]
      if (on !== wanted) faults.push(`3922 is open on ${on ?? 'every interface'}`)
    }
    if (!rules.includes('-P INPUT DROP')) faults.push('what no rule names is let in')
    return judge(faults, doors.join(', '))
  },
}

const logs: SceneCheck = {
  id: 'D10',
  group: 'role',
  at: 'scene',
  scenes: ['router'],
  does: "reads logrotate's configuration as logrotate does, and looks for haproxy's log and a bound on the journal",
  run: async ({ guest }) => {
    const { stderr, exitCode } = await guest.run('logrotate --debug /etc/logrotate.conf', 120)
    const faults = exitCode === 0 ? [] : [`logrotate: ${stderr.match(/^error:.*$/m)?.[0] ?? exitCode}`]
    const section = /rotating pattern: [^\n]*haproxy[^\n]*/.exec(stderr)?.[0]
    if (section === undefined) faults.push("haproxy's log is not rotated")
    const timers = await linesOf(guest, 'systemctl is-enabled logrotate.timer')
    if (timers[0] !== 'enabled') faults.push(`logrotate.timer is ${timers[0] ?? 'missing'}`)
    return judge(faults, section ?? '')
  },
}

export const roleSceneChecks: readonly SceneCheck[] = [
  consoleProxy,
  storage,
  router,
  redundant,
  vpc,
  otherRoles,
  listening,
  sshRule,
  logs,
]

export const roleContentChecks: readonly ContentCheck[] = [firewallFiles]
