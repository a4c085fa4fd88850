/** Checks of what a machine does in its role: its services, its firewall, and where sshd listens. */

import { userDataFile } from '../../guest/boot-arguments.ts'
import { type ContentCheck, judge, type SceneCheck } from '../check.ts'
import { namesIn } from '../image-files.ts'
import type { Scene, SceneName } from '../scenes.ts'
import { linesOf } from './boot.ts'

/** Units that a role may have; what is not among a role's own must neither run nor be enabled. */
const roleUnits = [
  'apache2',
  'cloud',
  'conntrackd',
  'containerd',
  'dnsmasq',
  'frr',
  'haproxy',
  'keepalived',
  'nfs-server',
  'radvd',
] as const
type RoleUnit = (typeof roleUnits)[number]

interface RoleServices {
  /** Run after first boot. */
  readonly running: readonly RoleUnit[]
  /** Enabled, and may wait for what CloudStack brings later: its agent, or a configuration with something to serve. */
  readonly enabled?: readonly RoleUnit[]
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
    const role: RoleServices = { running: ['dnsmasq', 'apache2', 'frr', 'radvd'], enabled: ['haproxy'] }
    const faults = await serviceFaults(scene, role)
    const lines = await linesOf(scene.guest, 'cat /etc/dnsmasq.conf /etc/dnsmasq.d/*.conf')
    for (const pattern of [
      /^dhcp-range=.*10\.1\.1\./,
      /^dhcp-option=(6|option:dns-server),/,
      /^dhcp-option=(3|option:router),10\.1\.1\.1$/,
    ])
      if (!lines.some((line) => pattern.test(line))) faults.push(`dnsmasq has no line ${pattern.source}`)
    if ((await linesOf(scene.guest, 'ls /etc/dhcpopts.txt')).length === 0) faults.push('no /etc/dhcpopts.txt')
    // Its program comes with CloudStack's; the unit has to take its name from the address.
    const password = await linesOf(scene.guest, 'systemctl cat cloud-password-server@10.1.1.1.service')
    if (!password.some((line) => line.includes('passwd_server_ip.py %I'))) faults.push('no password server')
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
    const role: RoleServices = {
      running: ['apache2', 'frr'],
      enabled: ['haproxy', 'keepalived'],
    }
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
    const role: RoleServices =
      scene.name === 'dhcpsrvr' ? { running: ['dnsmasq', 'apache2'] } : { running: [], enabled: ['haproxy'] }
    return judge(await serviceFaults(scene, role), describe(role))
  },
}

export const inRoles: readonly SceneName[] = [
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

const everyRole: readonly SceneName[] = [...inRoles, 'unknown-type']

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

/** What CloudStack calls the services of each scene's role, sorted. */
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
    for (const both of disabled.filter((one) => enabled.includes(one))) faults.push(`${both} is both`)
    return judge(faults, `${enabled.join(' ')}; not ${disabled.join(' ')}`)
  },
}

const userData: SceneCheck = {
  id: 'D16',
  group: 'role',
  at: 'scene',
  scenes: ['dhcpsrvr'],
  needs: 'taken',
  does: 'looks for what they leave behind, and for whether it is older than boot_up_done',
  run: async ({ guest, bootArguments }) => {
    const done = '/var/cache/cloud/boot_up_done'
    const found = await linesOf(
      guest,
      `test -e ${userDataFile} && echo left; test ${done} -nt ${userDataFile} && echo before; cat /etc/hostname`,
    )
    const faults = found.includes('left') ? [] : ['they have not run']
    if (!found.includes('before')) faults.push('they have not run before')
    // The name is CloudStack's, and so is everything else but what they were asked to do.
    if (found.at(-1) !== bootArguments?.name) faults.push(`the host name is ${found.at(-1)}`)
    const told = await linesOf(guest, 'grep -h "user data" /var/log/cloud.log')
    return judge(faults.length === 0 ? [] : [...faults, ...told], told.at(-1) ?? 'they have run')
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
  services,
  userData,
]

export const roleContentChecks: readonly ContentCheck[] = [firewallFiles]
