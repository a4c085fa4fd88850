/**
 * The router of an isolated network, programmed by CloudStack's own scripts, and seen from outside: by two tenants' machines
 * behind it, and by the world before it.
 */

import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Bench, describeRouter, openBench } from './bench.ts'
import { addClient, type Client, fetchFrom, resolveFrom } from './client.ts'
import { addInternet, internet, serveWeb } from './internet.ts'
import type { LabHost } from './lab.ts'
import { loadBalancer } from './router-files/balancer.ts'
import { dhcpEntry, machineData, machinePassword } from './router-files/machines.ts'
import { publicAddresses } from './router-files/networks.ts'
import { firewallRules, forwardingRules, staticNat } from './router-files/rules.ts'
import { remoteAccessVpn, vpnUser } from './router-files/vpn.ts'
import type { Router } from './router-guest.ts'

const domain = 'cs1cloud.internal'
const gateway = '10.1.1.1'
const control = '169.254.10.4'
const publicCard = { gateway: internet.gateway, mask: '255.255.255.0', mac: '1e:00:00:00:00:0a', device: 2 }
const [natAddress, balancedAddress, staticAddress] = ['203.0.113.10', '203.0.113.11', '203.0.113.12']
const everybody = ['0.0.0.0/0']

const machines = {
  first: { name: 'first', mac: '02:00:00:00:01:65', address: '10.1.1.101', gateway },
  second: { name: 'second', mac: '02:00:00:00:01:66', address: '10.1.1.102', gateway },
} as const

describeRouter('the router of an isolated network', () => {
  let bench: Bench
  let router: Router
  let outside: LabHost
  let first: Client
  let second: Client

  beforeAll(async () => {
    bench = await openBench()
    outside = await addInternet(bench.lab)
    first = await addClient(bench.lab, bench.folder, 'guest', machines.first)
    second = await addClient(bench.lab, bench.folder, 'guest', machines.second)
    for (const client of [first, second]) serveWeb(client, 80, 8022)
    router = await bench.start('r-4-VM', {
      controlAddress: control,
      cards: [
        { network: 'guest', mac: '02:00:00:00:01:01' },
        { network: 'control', mac: '0e:00:a9:fe:0a:04' },
        { network: 'public', mac: publicCard.mac },
      ],
      words: {
        template: 'domP',
        name: 'r-4-VM',
        eth2ip: natAddress,
        eth2mask: publicCard.mask,
        gateway: internet.gateway,
        publicMtu: '1500',
        eth0ip: gateway,
        eth0mask: '255.255.255.0',
        privateMtu: '1500',
        domain,
        cidrsize: '24',
        dhcprange: gateway,
        eth1ip: control,
        eth1mask: '255.255.0.0',
        type: 'router',
        disable_rp_filter: 'true',
        dns1: internet.gateway,
        logrotatefrequency: '*:0/15:0',
      },
    })
    await router.programAll([
      publicAddresses([
        { ...publicCard, address: natAddress, isSourceNat: true },
        { ...publicCard, address: balancedAddress },
        { ...publicCard, address: staticAddress, isStaticNat: true },
      ]),
      firewallRules([{ id: 1, direction: 'Egress', protocol: 'all', sources: [] }]),
      dhcpEntry(machines.first),
      dhcpEntry(machines.second),
      machineData(machines.first, '#cloud-config of the first', 'ssh-ed25519 AAAA first'),
      machineData(machines.second, '#cloud-config of the second', 'ssh-ed25519 AAAA second'),
    ])
  })
  afterAll(() => bench?.close())

  it('gives each machine its address, and strangers none', async () => {
    expect(await first.lease()).toEqual({
      address: machines.first.address,
      router: gateway,
      nameServers: [gateway, internet.gateway],
      domain,
    })
    expect(await second.lease()).toMatchObject({ address: machines.second.address })
    const stranger = await addClient(bench.lab, bench.folder, 'guest', {
      ...{ name: 'stranger', mac: '02:00:00:00:01:99', address: '', gateway },
    })
    expect(await stranger.lease()).toBeUndefined()
  })

  it('resolves the names of its machines and those of the world', async () => {
    expect(await resolveFrom(first, gateway, `second.${domain}`)).toEqual([machines.second.address])
    expect(await resolveFrom(first, gateway, `data-server.${domain}`)).toEqual([gateway])
    expect(await resolveFrom(first, gateway, internet.name)).toEqual([internet.server])
    expect(await resolveFrom(outside, natAddress, internet.name)).toEqual([])
  })

  it('lets a machine out as soon as a rule says so, under its own address', async () => {
    const url = `http://${internet.server}/`
    expect(await first.fetch(url)).toBeUndefined()
    await router.program(
      firewallRules([
        { id: 2, direction: 'Egress', protocol: 'tcp', ports: [80, 80], sources: ['10.1.1.0/24'] },
      ]),
    )
    expect(await first.fetch(url)).toBe(`internet saw ${natAddress}`)
  })

  it('forwards a port to a machine, while the firewall is open for it', async () => {
    const url = `http://${natAddress}:2222/`
    const from = { address: natAddress, port: 2222 }
    await router.program(
      forwardingRules([{ protocol: 'tcp', from, to: { address: machines.first.address, port: 8022 } }]),
    )
    expect(await fetchFrom(outside, url)).toBeUndefined()
    const rule = { id: 3, direction: 'Ingress', protocol: 'tcp', address: natAddress } as const
    await router.program(firewallRules([{ ...rule, ports: [2222, 2222], sources: everybody }]))
    expect(await fetchFrom(outside, url)).toBe(`first saw ${internet.gateway}`)
    expect(await second.fetch(url), 'by the public address from within').toBe(`first saw ${gateway}`)
    await router.program(
      firewallRules([{ ...rule, ports: [2222, 2222], sources: everybody, isRevoked: true }]),
    )
    expect(await fetchFrom(outside, url)).toBeUndefined()
  })

  it('balances load over both machines', async () => {
    const servers = [machines.first, machines.second].map(({ address }) => ({ address, port: 80 }))
    await router.program(loadBalancer({ address: balancedAddress, port: 80, servers }, control))
    const ports = [80, 80] as const
    await router.program(
      firewallRules([
        { id: 4, direction: 'Ingress', protocol: 'tcp', address: balancedAddress, ports, sources: everybody },
      ]),
    )
    const answers = new Set<string | undefined>()
    for (let time = 0; time < 4; time += 1) {
      answers.add(await fetchFrom(outside, `http://${balancedAddress}/`))
    }
    expect([...answers].sort()).toEqual([`first saw ${gateway}`, `second saw ${gateway}`])
  })

  it('gives a machine a public address of its own', async () => {
    await router.program(staticNat(staticAddress, machines.second.address))
    const ports = [80, 80] as const
    await router.program(
      firewallRules([
        { id: 5, direction: 'Ingress', protocol: 'tcp', address: staticAddress, ports, sources: everybody },
      ]),
    )
    expect(await fetchFrom(outside, `http://${staticAddress}/`)).toBe(`second saw ${internet.gateway}`)
    expect(await second.fetch(`http://${internet.server}/`)).toBe(`internet saw ${staticAddress}`)
    expect(await first.fetch(`http://${internet.server}/`)).toBe(`internet saw ${natAddress}`)
  })

  it('tells each machine about itself, and nobody about others', async () => {
    const latest = `http://${gateway}/latest`
    expect(await first.fetch(`${latest}/meta-data/instance-id`)).toBe('first')
    expect(await second.fetch(`${latest}/meta-data/instance-id`)).toBe('second')
    expect(await first.fetch(`${latest}/user-data`)).toBe('#cloud-config of the first')
    expect(await second.fetch(`${latest}/meta-data/public-keys`)).toBe('ssh-ed25519 AAAA second')
    expect(await first.fetch(`${latest}/meta-data/`)).toContain('service-offering\n')
    const ofSecond = `http://${gateway}/metadata/${machines.second.address}/instance-id`
    expect(await first.fetch(ofSecond)).toBeUndefined()
    expect(await second.fetch(ofSecond)).toBe('second')
    expect(
      await first.fetch(`http://${gateway}/userdata/${machines.second.address}/user-data`),
    ).toBeUndefined()
    expect(await fetchFrom(outside, `http://${natAddress}/latest/meta-data/instance-id`)).toBeUndefined()
  })

  it('hands a password to the machine that it is for, once', async () => {
    await router.program(machinePassword(machines.first, 'a-new-Password-42'))
    const ask = (client: Client, what: string) =>
      client.fetch(`http://${gateway}:8080/`, '--header', `DomU_Request: ${what}`)
    expect(await ask(second, 'send_my_password')).toBe('saved_password')
    expect(await ask(first, 'send_my_password')).toBe('a-new-Password-42')
    await ask(first, 'saved_password')
    expect(await ask(first, 'send_my_password')).toBe('saved_password')
  })

  it('listens for VPN clients', async () => {
    await router.program(remoteAccessVpn(natAddress, { network: '10.1.1.0/24', device: 'eth2' }))
    await router.program(vpnUser('somebody', 'a-password'))
    const { stdout } = await router.run('ss -H -lun; systemctl is-active ipsec xl2tpd; ipsec statusall')
    for (const port of [500, 4500, 1701]) expect(stdout).toMatch(new RegExp(`:${port}\\b`))
    expect(stdout).toContain('active\nactive')
    expect(stdout).toContain('L2TP-PSK')
  })

  it('has no unit that failed, and no script that did', async () => {
    expect(await router.faults()).toEqual([])
  })
})
