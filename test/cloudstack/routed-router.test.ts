/** The router of a network that is routed instead of translated, with IPv4 and IPv6. */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Bench, describeRouter, openBench } from './bench.ts'
import { addClient, type Client, fetchFrom } from './client.ts'
import { addInternet, bgpListener, internet, serveWeb } from './internet.ts'
import type { LabHost } from './lab.ts'
import { dhcpEntry } from './router-files/machines.ts'
import { bgpPeer, publicAddresses } from './router-files/networks.ts'
import { type FirewallRule, firewallRules, firewallRulesOfIpv6 } from './router-files/rules.ts'
import type { Router } from './router-guest.ts'
import { waitUntil } from './wait.ts'

const control = '169.254.10.8'
const machine = {
  name: 'only',
  mac: '02:00:00:00:01:65',
  address: '10.1.1.101',
  gateway: '10.1.1.1',
} as const
const publicCard = { gateway: internet.gateway, mask: '255.255.255.0', mac: '1e:00:00:00:00:0a', device: 2 }
const publicAddress = '203.0.113.10'
const network = '10.1.1.0/24'
const [network6, gateway6, publicAddress6] = ['2001:db8:1:1::/64', '2001:db8:1:1::1', '2001:db8:f::10']
/** What a machine makes of the network and its hardware address. */
const address6 = '2001:db8:1:1:0:ff:fe00:165'
const server6 = '2001:db8:99::10'

const wayOut: FirewallRule = {
  id: 1,
  direction: 'Egress',
  protocol: 'all',
  sources: [],
  isOpenByDefault: true,
}
const wayIn: FirewallRule = {
  ...{ id: 2, direction: 'Ingress', protocol: 'tcp', ports: [8022, 8022], isOpenByDefault: true },
  sources: ['0.0.0.0/0'],
}

describeRouter('the router of a routed network', () => {
  let bench: Bench
  let router: Router
  let outside: LabHost
  let client: Client

  beforeAll(async () => {
    bench = await openBench()
    outside = await addInternet(bench.lab, {
      addresses: [`2001:db8:f::1/64`, `${server6}/128`],
      routes: [`${network} via ${publicAddress}`, `${network6} via ${publicAddress6}`],
    })
    client = await addClient(bench.lab, bench.folder, 'guest', machine)
    serveWeb(client, 80, 8022)
    router = await bench.start('r-8-VM', {
      controlAddress: control,
      cards: [
        { network: 'guest', mac: '02:00:00:00:01:01' },
        { network: 'control', mac: '0e:00:a9:fe:0a:08' },
        { network: 'public', mac: publicCard.mac },
      ],
      words: {
        template: 'domP',
        name: 'r-8-VM',
        eth2ip: publicAddress,
        eth2mask: publicCard.mask,
        eth2ip6: publicAddress6,
        eth2ip6prelen: '64',
        gateway: internet.gateway,
        ip6gateway: '2001:db8:f::1',
        publicMtu: '1500',
        eth0ip: machine.gateway,
        eth0mask: '255.255.255.0',
        eth0ip6: gateway6,
        eth0ip6prelen: '64',
        privateMtu: '1500',
        is_routed: 'true',
        ip6firewall: 'true',
        domain: 'cs1cloud.internal',
        cidrsize: '24',
        dhcprange: machine.gateway,
        eth1ip: control,
        eth1mask: '255.255.0.0',
        type: 'router',
        disable_rp_filter: 'true',
        dns1: internet.gateway,
        ip6dns1: '2001:db8:f::1',
        logrotatefrequency: '*:0/15:0',
      },
    })
    await router.programAll([
      publicAddresses([{ ...publicCard, address: publicAddress, isSourceNat: true }]),
      firewallRules([wayOut]),
      firewallRulesOfIpv6([wayOut], network6),
      dhcpEntry(machine),
    ])
  })
  afterAll(() => bench?.close())

  it('announces its network, so that a machine has its address of either kind', async () => {
    expect(await client.lease()).toMatchObject({ address: machine.address, router: machine.gateway })
    await waitUntil('an address of IPv6', 120, async () => {
      const { stdout } = await client.run(
        'ip -6 address show dev eth0 scope global; ip -6 route show default',
      )
      return stdout.includes(`${address6}/64`) && stdout.includes('default via fe80:')
    })
  })

  it('lets a machine out under the address that it has', async () => {
    expect(await client.fetch(`http://${internet.server}/`)).toBe(`internet saw ${machine.address}`)
    expect(await client.fetch(`http://[${server6}]/`)).toBe(`internet saw ${address6}`)
  })

  it('lets in what the firewall lets', async () => {
    const [url, url6] = [`http://${machine.address}:8022/`, `http://[${address6}]:8022/`]
    expect(await fetchFrom(outside, url)).toBeUndefined()
    expect(await fetchFrom(outside, url6)).toBeUndefined()
    await router.program(firewallRules([wayIn]))
    expect(await fetchFrom(outside, url)).toBe(`only saw ${internet.gateway}`)
    expect(await fetchFrom(outside, url6)).toBeUndefined()
    await router.program(firewallRulesOfIpv6([{ ...wayIn, sources: ['::/0'] }], network6))
    expect(await fetchFrom(outside, url6)).toBe('only saw 2001:db8:f::1')
    expect(await fetchFrom(outside, `http://${machine.address}/`)).toBeUndefined()
  })

  it('speaks BGP with the peer that it is given', async () => {
    const heard = outside.run(`python3 ${bgpListener}`, 300)
    await router.program(
      bgpPeer({ address: internet.gateway, asNumber: 65000, network, networkAsNumber: 65001 }),
    )
    expect((await heard).stdout).toBe(`65001 ${publicAddress}`)
  })

  it('has no unit that failed, and no script that did', async () => {
    expect(await router.faults()).toEqual([])
  })
})
