/**
 * The router of a VPC: it is started with nothing but its control network, and its cards are plugged in while it runs, as
 * tiers, public networks and private gateways come to it.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Bench, describeRouter, openBench } from './bench.ts'
import { addClient, type Client, fetchFrom, resolveFrom } from './client.ts'
import { addInternet, ikeProbe, internet, serveWeb } from './internet.ts'
import type { LabHost } from './lab.ts'
import { dhcpEntry, machineData } from './router-files/machines.ts'
import { guestNetwork, publicAddresses, staticRoute } from './router-files/networks.ts'
import { type AclRule, forwardingRules, networkAcl } from './router-files/rules.ts'
import { siteToSiteVpn } from './router-files/vpn.ts'
import type { Router } from './router-guest.ts'
import { waitUntil } from './wait.ts'

const control = '169.254.20.5'
const domain = 'vpc.cs1cloud.internal'
const [natAddress, forwardedAddress] = ['203.0.113.20', '203.0.113.21']
const publicCard = { gateway: internet.gateway, mask: '255.255.255.0', mac: '1e:00:00:00:00:14', device: 1 }
const tier = {
  ...{ device: 'eth2', mac: '02:00:00:00:02:01', address: '172.16.1.1', gateway: '172.16.1.1' },
  ...{ mask: '255.255.255.0', prefixLength: 24, domain, networkId: 205 },
} as const
const otherTier = {
  ...{ device: 'eth3', mac: '02:00:00:00:03:01', address: '172.16.2.1', gateway: '172.16.2.1' },
  ...{ mask: '255.255.255.0', prefixLength: 24, domain, networkId: 206 },
} as const
const privateCard = { gateway: '10.200.0.1', mask: '255.255.255.0', mac: '02:00:00:00:04:02', device: 4 }
const privateAddress = '10.200.0.2'
const officeNetwork = '10.201.0.0/16'
const officeServer = '10.201.0.10'

const machines = {
  web: { name: 'web', mac: '02:00:00:00:02:65', address: '172.16.1.101', gateway: tier.gateway },
  data: { name: 'data', mac: '02:00:00:00:03:65', address: '172.16.2.101', gateway: otherTier.gateway },
} as const

const everything = { type: 'all', cidr: '0.0.0.0/0', allowed: true } as const
const nothing = { type: 'all', cidr: '0.0.0.0/0', allowed: false } as const
const port = (number: number, cidr: string): AclRule => ({
  ...{ type: 'tcp', cidr, allowed: true, ports: [number, number] },
})

describeRouter('the router of a VPC', () => {
  let bench: Bench
  let router: Router
  let outside: LabHost
  let office: LabHost
  let web: Client
  let data: Client

  const acl = (of: typeof tier | typeof otherTier, ingress: readonly AclRule[], egress: readonly AclRule[]) =>
    networkAcl({ ...of, ingress, egress })

  beforeAll(async () => {
    bench = await openBench()
    outside = await addInternet(bench.lab)
    web = await addClient(bench.lab, bench.folder, 'tier1', machines.web)
    data = await addClient(bench.lab, bench.folder, 'tier2', machines.data)
    for (const client of [web, data]) serveWeb(client, 80, 8022)
    office = await bench.lab.addHost('office', 'private', {
      addresses: [`${privateCard.gateway}/24`, `${officeServer}/32`],
      routes: [`172.16.0.0/16 via ${privateAddress}`],
    })
    serveWeb(office, 80)
    router = await bench.start('r-5-VM', {
      controlAddress: control,
      cards: [{ network: 'control', mac: '0e:00:a9:fe:14:05' }],
      words: {
        vpccidr: '172.16.0.0/16',
        domain,
        publicMtu: '1500',
        dns1: internet.gateway,
        template: 'domP',
        name: 'r-5-VM',
        eth0ip: control,
        eth0mask: '255.255.0.0',
        has_public_network: 'true',
        vpc_firewall_enabled: 'false',
        type: 'vpcrouter',
        disable_rp_filter: 'true',
        source_nat_ip: natAddress,
        logrotatefrequency: '*:0/15:0',
      },
    })
    await router.plugIn({ network: 'public', mac: publicCard.mac })
    await router.program(
      publicAddresses([{ ...publicCard, address: natAddress, isSourceNat: true, isNewCard: true }]),
    )
    await router.plugIn({ network: 'tier1', mac: tier.mac })
    await router.program(guestNetwork(tier))
    await router.plugIn({ network: 'tier2', mac: otherTier.mac })
    await router.program(guestNetwork(otherTier))
    await router.programAll([
      acl(tier, [port(80, '0.0.0.0/0'), port(8022, '0.0.0.0/0'), nothing], [everything]),
      acl(otherTier, [port(80, '172.16.1.0/24'), nothing], [nothing]),
      dhcpEntry(machines.web),
      dhcpEntry(machines.data),
      machineData(machines.web, '#cloud-config of web', 'ssh-ed25519 AAAA web'),
    ])
  })
  afterAll(() => bench?.close())

  it('serves each tier: leases, names and what machines may know of themselves', async () => {
    expect(await web.lease()).toMatchObject({ address: machines.web.address, router: tier.gateway, domain })
    expect(await data.lease()).toMatchObject({ address: machines.data.address, router: otherTier.gateway })
    expect(await resolveFrom(web, tier.gateway, `data.${domain}`)).toEqual([machines.data.address])
    expect(await resolveFrom(data, otherTier.gateway, internet.name)).toEqual([internet.server])
    // Apache is started again with every tier, and no script waits for it.
    await waitUntil('what a machine may know of itself', 180, async () => {
      return (await web.fetch(`http://${tier.gateway}/latest/user-data`)) === '#cloud-config of web'
    })
  })

  it('lets out and in what the lists of a tier let', async () => {
    const url = `http://${internet.server}/`
    expect(await web.fetch(url)).toBe(`internet saw ${natAddress}`)
    expect(await data.fetch(url)).toBeUndefined()
    expect(await web.fetch(`http://${machines.data.address}/`)).toBe(`data saw ${machines.web.address}`)
    expect(await web.fetch(`http://${machines.data.address}:8022/`)).toBeUndefined()
    await router.program(acl(otherTier, [port(80, '172.16.1.0/24'), nothing], [everything]))
    expect(await data.fetch(url)).toBe(`internet saw ${natAddress}`)
  })

  it('forwards a port, as far as the list of the tier lets', async () => {
    const card = { ...publicCard, address: forwardedAddress }
    await router.program(publicAddresses([card]))
    const from = { address: forwardedAddress, port: 2222 }
    await router.program(
      forwardingRules([{ protocol: 'tcp', from, to: { address: machines.web.address, port: 8022 } }]),
    )
    const url = `http://${forwardedAddress}:2222/`
    expect(await fetchFrom(outside, url)).toBe(`web saw ${internet.gateway}`)
    await router.program(acl(tier, [port(80, '0.0.0.0/0'), nothing], [everything]))
    expect(await fetchFrom(outside, url)).toBeUndefined()
  })

  it('leads to an office behind a private gateway, by a static route and its own list', async () => {
    const card = { ...privateCard, address: privateAddress, isPrivateGateway: true, isNewCard: true }
    await router.plugIn({ network: 'private', mac: privateCard.mac })
    await router.program(publicAddresses([card]))
    const url = `http://${officeServer}/`
    expect(await web.fetch(url)).toBeUndefined()
    await router.program(staticRoute(officeNetwork, privateCard.gateway, privateAddress))
    const list = { device: 'eth4', mac: privateCard.mac, address: privateAddress, prefixLength: 24 }
    await router.program(
      networkAcl({ ...list, isPrivateGateway: true, ingress: [everything], egress: [everything] }),
    )
    expect(await web.fetch(url)).toBe(`office saw ${machines.web.address}`)
    expect(await fetchFrom(office, `http://${machines.web.address}/`)).toBe(`web saw ${privateCard.gateway}`)
    expect(await fetchFrom(office, `http://${machines.web.address}:8022/`)).toBeUndefined()
  })

  it('begins a tunnel with another site, and with nobody else', async () => {
    const [peerAddress, peerNetwork] = [internet.server, '192.168.77.0/24']
    await router.program(
      siteToSiteVpn({
        ...{ localAddress: natAddress, localGateway: internet.gateway, localNetwork: '172.16.0.0/16' },
        ...{ peerAddress, peerNetwork },
      }),
    )
    const probe = (from: string) => outside.run(`python3 ${ikeProbe} ${from} ${natAddress}`)
    expect((await probe(peerAddress)).stdout).toBe('answered')
    expect((await probe(internet.gateway)).stdout).toBe('silent')
    const { stdout } = await router.run('ipsec statusall')
    expect(stdout).toMatch(new RegExp(`vpn-${peerAddress}:.*IKEv2`))
    expect(stdout).toContain(peerNetwork)
    const { stdout: state } = await router.run(`/opt/cloud/bin/checkbatchs2svpn.sh ${peerAddress}`)
    expect(state).toContain(peerAddress)
  })

  it('has no unit that failed, and no script that did', async () => {
    expect(await router.faults()).toEqual([])
  })
})
