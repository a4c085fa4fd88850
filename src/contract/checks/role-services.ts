/** Checks that a role runs its own services and no others. */

import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import type { Scene } from '../scenes.ts'

/** Units that belong to roles; those not in a role's own list must be neither running nor enabled. */
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
  /** Running after first boot. */
  readonly running: readonly RoleUnit[]
  /** Enabled, but may wait for what CloudStack delivers later: its agent, or a configuration to serve. */
  readonly enabled?: readonly RoleUnit[]
}

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
  does: "asks systemd for the role's services and for all others",
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
  does: "asks systemd for services, and reads dnsmasq's configuration",
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
    // CloudStack's scripts supply the program; the unit must pass it the address from its instance name.
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

export const roleServiceChecks: readonly SceneCheck[] = [
  consoleProxy,
  storage,
  router,
  redundant,
  vpc,
  otherRoles,
]
