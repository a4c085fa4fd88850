/** Checks of the packet filter: when a boot starts, after a role opens it, and after that fails. */

import { namesIn, readText } from '../../disk/image-files.ts'
import { type ContentCheck, judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import type { Scene, SceneName } from '../scenes.ts'
import { inRoles } from '../scenes.ts'

const unit = 'systemvm-filter.service'
const folder = '/etc/systemd/system'

const atBoot: ContentCheck = {
  id: 'F8',
  group: 'hygiene',
  at: 'content',
  does: 'reads the rules that apply before any others, and looks for the units that depend on them',
  run: async ({ files }) => {
    const rules = (await readText(files, '/etc/iptables/systemvm-deny.nft')) ?? ''
    const faults = ['ip', 'ip6'].flatMap((family) => {
      const table = rules.split(`table ${family} filter {`)[1]?.split(/^}/m)[0] ?? ''
      return ['input', 'forward']
        .filter((hook) => !new RegExp(`hook ${hook} .*policy drop`).test(table))
        .map((hook) => `${family} lets through by ${hook}`)
    })
    const wanted = ['multi-user.target.wants', 'networking.service.requires', 'ifup@.service.requires']
    for (const name of wanted)
      if (!(await namesIn(files, `${folder}/${name}`)).includes(unit)) faults.push(`not in ${name}`)
    return judge(faults, `${unit}, which the network requires`)
  },
}

const beforeNetwork: SceneCheck = {
  id: 'F8',
  group: 'hygiene',
  at: 'scene',
  scenes: ['boot', 'secstorage', 'virtualbox', 'no-data'],
  does: 'compares when systemd had loaded the first rules with when it began to configure the network',
  run: async ({ guest }) => {
    const [filter = '', network = ''] = await linesOf(
      guest,
      `for u in ${unit} networking.service; do
         echo $(systemctl show --value -p ActiveState -p InactiveExitTimestampMonotonic -p ActiveEnterTimestampMonotonic $u)
       done`,
    )
    const numbersOf = (line: string) => [...line.matchAll(/\b\d{4,}\b/g)].map(([text]) => Number(text))
    const loaded = Math.max(...numbersOf(filter))
    const began = Math.min(...numbersOf(network))
    // `inactive` contains the same letters, but has no times.
    const isBefore = /\bactive\b/.test(filter) && loaded < began
    const faults = isBefore ? [] : [`${unit}: ${filter}; network: ${network}`]
    return judge(faults, `${((began - loaded) / 1e6).toFixed(1)} s before`)
  },
}

/** Rules that open something, as `iptables -S` prints them. */
async function openingsOf(guest: Scene['guest']): Promise<readonly string[]> {
  const rules = await linesOf(guest, 'iptables -S INPUT')
  const closed = rules.includes('-P INPUT DROP') ? [] : ['everything']
  return [
    ...closed,
    ...rules.filter((rule) => rule.endsWith('-j ACCEPT') && /--dport|-d 22[45]\./.test(rule)),
  ]
}

const shortOf = (rule: string): string => {
  const [, on = 'any'] = / -i (\S+)/.exec(rule) ?? []
  const [, group] = / -d (22[45]\S+?)\/32 /.exec(rule) ?? []
  const [, protocol = ''] = / -p (\w+) /.exec(rule) ?? []
  const [, port = ''] = / --dport (\d+)/.exec(rule) ?? []
  return group ?? `${on} ${protocol} ${port}`
}

const guests = ['eth0 udp 67', 'eth0 udp 53', 'eth0 tcp 53', 'eth0 tcp 80', 'eth0 tcp 443', 'eth0 tcp 8080']
const pair = ['224.0.0.18', '225.0.0.50']
/** What each scene's role opens, apart from the control interface. */
const openings: Partial<Record<SceneName, readonly string[]>> = {
  port: ['eth0 tcp 8001', 'eth1 tcp 8001', 'eth2 tcp 80', 'eth2 tcp 443', 'eth2 tcp 8443'],
  secstorage: [],
  router: [...pair, ...guests],
  'redundant-router': [...pair, ...guests],
  vpcrouter: pair,
  dhcpsrvr: [...pair, ...guests],
  elbvm: [],
  ilbvm: [],
}

const opened: SceneCheck = {
  id: 'D15',
  group: 'role',
  at: 'scene',
  scenes: inRoles,
  // CloudStack's own scripts decide what to open. D9 checks that control traffic is accepted, and only on its interface.
  contracts: ['cloudstack'],
  needs: 'taken',
  does: 'lists the rules in force that open a port or a multicast group, and those that call helpers',
  run: async ({ guest, bootArguments, name }) => {
    const found = (await openingsOf(guest)).map(shortOf).sort()
    const wanted = [...(openings[name] ?? []), `eth${bootArguments?.control} tcp 3922`].sort()
    const faults = [
      ...found.filter((one) => !wanted.includes(one)).map((one) => `${one} is open`),
      ...wanted.filter((one) => !found.includes(one)).map((one) => `${one} is not open`),
    ]
    if (name === 'router' || name === 'vpcrouter') {
      const helpers = await linesOf(guest, 'iptables -t raw -S PREROUTING')
      for (const helper of ['ftp', 'pptp', 'tftp'])
        if (!helpers.some((rule) => rule.endsWith(`-j CT --helper ${helper}`)))
          faults.push(`no helper for ${helper}`)
    }
    if (name === 'port') {
      const port = await linesOf(guest, 'cat /root/vncport')
      if (port.join() !== '8443') faults.push(`/root/vncport has ${port.join(' ') || 'nothing'}`)
    }
    return judge(faults, found.join(', '))
  },
}

/** Faults of a machine that must accept only control traffic and forward nothing. */
async function openFaults({ guest, bootArguments }: Scene): Promise<string[]> {
  const control = `eth${bootArguments?.control}`
  const rules = await linesOf(guest, 'iptables -S; ip6tables -S')
  const policies = rules.filter((rule) => /^-P (INPUT|FORWARD) DROP$/.test(rule))
  const faults =
    policies.length === 4 ? [] : [`policies are ${rules.filter((rule) => rule.startsWith('-P')).join(', ')}`]
  const doors = (await openingsOf(guest)).map(shortOf).filter((one) => one !== 'eth0 udp 68')
  if (doors.join() !== `${control} tcp 3922`) faults.push(`open: ${doors.join(', ') || 'nothing'}`)
  const forwarding = await linesOf(
    guest,
    'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding',
  )
  if (forwarding.join() !== '0,0') faults.push('it forwards')
  return faults
}

const unknownType: SceneCheck = {
  id: 'D12',
  group: 'role',
  at: 'scene',
  scenes: ['unknown-type'],
  needs: 'taken',
  does: 'lists the rules in force, the addresses and what forwards',
  run: async (scene) => {
    const faults = await openFaults(scene)
    const found = await linesOf(scene.guest, 'ip -4 -o address show | awk \'$2 != "lo" { print $2 }\'')
    if (found.join() !== `eth${scene.bootArguments?.control}`)
      faults.push(`${found.join(' ')} have addresses`)
    return judge(faults, `control on ${found.join()}`)
  },
}

const broken: SceneCheck = {
  id: 'F9',
  group: 'hygiene',
  at: 'scene',
  scenes: ['broken-filter'],
  does: 'breaks iptables-restore before the hand-over, lists what is in force, and logs in over SSH',
  run: async (scene) => {
    const { guest, ssh } = scene
    const faults = await openFaults(scene)
    const states = await linesOf(
      guest,
      'systemctl is-failed cloud-early-config; systemctl is-active cloud-postinit; ls /var/cache/cloud/boot_up_done',
    )
    if (states.join() !== 'failed,inactive') faults.push(`first boot is ${states.join(', ')}`)
    const { stdout, stderr } = await ssh('id -un', { withKey: true })
    if (stdout.trim() !== 'root') faults.push(`SSH: ${stderr.trim().split('\n').at(-1)}`)
    const [logged = 'the log does not mention it'] = await linesOf(
      guest,
      'grep -h "failed: packet filter" /var/log/cloud.log',
    )
    return judge(faults, logged)
  },
}

export const filterContentChecks: readonly ContentCheck[] = [atBoot]
export const filterSceneChecks: readonly SceneCheck[] = [beforeNetwork, opened, unknownType, broken]
