/** Checks how a router handles an IPv6 network. */

import { ipv6Words } from '../../guest/boot-arguments.ts'
import { judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'

const network: SceneCheck = {
  id: 'D13',
  group: 'role',
  at: 'scene',
  scenes: ['router'],
  needs: 'taken',
  does: 'lists IPv6 addresses, the default route and the rules in force, and reads the configuration of radvd and dnsmasq',
  run: async ({ guest, contract }) => {
    const addresses = await linesOf(guest, "ip -6 -o address show scope global | awk '{ print $2, $4 }'")
    const faults = (['eth0', 'eth2'] as const).flatMap((name) => {
      const wanted = `${name} ${ipv6Words[`${name}ip6`]}/64`
      return addresses.includes(wanted) ? [] : [`no ${wanted}`]
    })
    const [route = 'none'] = await linesOf(guest, 'ip -6 route show default')
    // CloudStack's own scripts wait for addresses from the management server before setting the route and the rules.
    const isComplete = contract === 'cloudstack'
    if (isComplete && !route.startsWith(`default via ${ipv6Words.ip6gateway} dev eth2`))
      faults.push(`the way out is ${route}`)
    const [forwarding] = await linesOf(guest, 'cat /proc/sys/net/ipv6/conf/all/forwarding')
    if (forwarding !== '1') faults.push('it does not forward')
    const rules = await linesOf(guest, 'ip6tables -S')
    for (const rule of [
      '-P INPUT DROP',
      '-P FORWARD DROP',
      '-A FORWARD -i eth0 -o eth2 -j ACCEPT',
      '-A INPUT -i eth0 -p udp -m udp --dport 53 -j ACCEPT',
    ])
      if (isComplete && !rules.includes(rule)) faults.push(`no rule ${rule}`)
    const configured = await linesOf(guest, 'cat /etc/radvd.conf /etc/dnsmasq.conf')
    // radvd accepts any address of a network as its prefix.
    if (!configured.some((line) => /prefix fd12:3456:789a::1?\/64/.test(line)))
      faults.push('radvd has no prefix')
    if (!configured.includes(`dhcp-range=${ipv6Words.eth0ip6},static`)) faults.push('dnsmasq has no range')
    return judge(faults, `${addresses.join(', ')}; ${route.trim()}`)
  },
}

export const ipv6Checks: readonly SceneCheck[] = [network]
