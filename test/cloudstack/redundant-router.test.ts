/** Two routers of one network: one of them serves it, and when that dies the other does. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bench, describeRouter, openBench } from './bench.ts'
import { addClient, type Client, fetchFrom, type Lease } from './client.ts'
import { addInternet, internet, serveWeb } from './internet.ts'
import type { LabHost } from './lab.ts'
import { dhcpEntry, machinePassword } from './router-files/machines.ts'
import { publicAddresses } from './router-files/networks.ts'
import { firewallRules, forwardingRules } from './router-files/rules.ts'
import type { Router } from './router-guest.ts'
import { waitUntil } from './wait.ts'

const gateway = '10.1.1.1'
const natAddress = '203.0.113.10'
const domain = 'cs1cloud.internal'
const machine = { name: 'only', mac: '02:00:00:00:01:65', address: '10.1.1.101', gateway } as const
/** Both have the same card on the public network: whoever serves it is the one that everybody knows. */
const publicCard = { gateway: internet.gateway, mask: '255.255.255.0', mac: '1e:00:00:00:00:0a', device: 2 }
const halves = [
  { name: 'r-6-VM', guest: '10.1.1.2', control: '169.254.10.6', state: 'PRIMARY' },
  { name: 'r-7-VM', guest: '10.1.1.3', control: '169.254.10.7', state: 'BACKUP' },
] as const
/** Emulated, a change takes the scripts a minute. */
const changeLimitSeconds = 600
const leaseLimitSeconds = 180

describeRouter('a redundant pair of routers', () => {
  let bench: Bench
  let outside: LabHost
  let client: Client
  const routers = new Map<string, Router>()

  const stateOf = async (name: string): Promise<string> => {
    const { stdout = '' } = (await routers.get(name)?.run('/opt/cloud/bin/checkrouter.sh', 60)) ?? {}
    return /Status: (\w+)/.exec(stdout)?.[1] ?? stdout
  }
  const states = async () => {
    const all = await Promise.all([...routers.keys()].map(stateOf))
    return all.sort()
  }

  beforeAll(async () => {
    bench = await openBench()
    outside = await addInternet(bench.lab)
    client = await addClient(bench.lab, bench.folder, 'guest', machine)
    serveWeb(client, 8022)
    const started = halves.map(async ({ name, guest, control, state }, index) => {
      const router = await bench.start(name, {
        controlAddress: control,
        cards: [
          { network: 'guest', mac: `02:00:00:00:01:0${index + 1}` },
          { network: 'control', mac: `0e:00:a9:fe:0a:0${index + 6}` },
          { network: 'public', mac: publicCard.mac },
        ],
        words: {
          template: 'domP',
          name,
          eth2ip: natAddress,
          eth2mask: publicCard.mask,
          gateway: internet.gateway,
          publicMtu: '1500',
          eth0ip: guest,
          eth0mask: '255.255.255.0',
          privateMtu: '1500',
          redundant_router: '1',
          advert_int: '1',
          redundant_state: state,
          guestgw: gateway,
          guestbrd: '10.1.1.255',
          guestcidrsize: '24',
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
      routers.set(name, router)
      const rule = { protocol: 'tcp', sources: ['0.0.0.0/0'] } as const
      await router.programAll([
        publicAddresses([{ ...publicCard, address: natAddress, isSourceNat: true }]),
        firewallRules([
          { id: 1, direction: 'Egress', protocol: 'all', sources: [], isOpenByDefault: true },
          { ...rule, id: 2, direction: 'Ingress', address: natAddress, ports: [2222, 2222] },
        ]),
        forwardingRules([
          {
            protocol: 'tcp',
            from: { address: natAddress, port: 2222 },
            to: { address: machine.address, port: 8022 },
          },
        ]),
        dhcpEntry(machine),
      ])
    })
    await Promise.all(started)
  })
  afterAll(() => bench?.close())

  const serves = () => {
    it('serves its network: a lease, the way out, and the way in', async () => {
      let lease: Lease | undefined
      // Services start after the state has changed; a machine goes on asking.
      await waitUntil('the machine has a lease', leaseLimitSeconds, async () => {
        lease = await client.lease()
        return lease !== undefined
      })
      expect(lease).toMatchObject({ address: machine.address, router: gateway })
      expect(await client.fetch(`http://${internet.server}/`)).toBe(`internet saw ${natAddress}`)
      expect(await fetchFrom(outside, `http://${natAddress}:2222/`)).toBe(`only saw ${internet.gateway}`)
    })
  }

  it('has exactly one that is primary', async () => {
    await waitUntil('one is primary, and one is not', changeLimitSeconds, async () => {
      const [first, second] = await states()
      return first === 'BACKUP' && second === 'PRIMARY'
    })
  })
  serves()

  it('keeps to the one that it has', async () => {
    const before = await Promise.all(halves.map(({ name }) => stateOf(name)))
    for (let time = 0; time < 5; time += 1) {
      expect(await Promise.all(halves.map(({ name }) => stateOf(name)))).toEqual(before)
    }
  })

  describe('when the primary dies', () => {
    beforeAll(async () => {
      for (const { name } of halves) {
        if ((await stateOf(name)) !== 'PRIMARY') continue
        await routers.get(name)?.close()
        routers.delete(name)
        break
      }
    })

    it('goes on with the other', async () => {
      await waitUntil('the one that is left is primary', changeLimitSeconds, async () => {
        return (await states()).join() === 'PRIMARY'
      })
    })
    serves()

    it('hands passwords out from both addresses of the one that is left', async () => {
      const [router] = routers.values()
      await router?.program(machinePassword(machine, 'a-new-Password-42'))
      const words = ['--header', 'DomU_Request: send_my_password']
      expect(await client.fetch(`http://${gateway}:8080/`, ...words)).toBe('a-new-Password-42')
    })

    it('tracks connections again after CloudStack’s watchdog has killed conntrackd', async () => {
      const [router] = routers.values()
      const commands = [
        'pkill -9 conntrackd',
        'systemctl restart conntrackd',
        'systemctl is-active conntrackd',
      ]
      const { stdout } = (await router?.run(commands.join(' && '), changeLimitSeconds)) ?? {}
      expect(stdout?.trim()).toBe('active')
    })

    it('has no unit that failed, and no script that did', async () => {
      const [router] = routers.values()
      expect(await router?.faults()).toEqual([])
    })
  })
})
