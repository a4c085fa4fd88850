/**
 * Networks of a cloud on this host: bridges that guests are plugged into, and hosts beside them, each in a network
 * namespace of its own. Nothing of it touches this host's own network, and all of it goes with `close`.
 */

import { readdir } from 'node:fs/promises'
import { execa } from 'execa'
import { type ProcessGroup, startGroup } from '../../src/host/process.ts'
import type { TapNetwork } from '../../src/qemu/machine.ts'

export interface Lab {
  /** Namespace that has the bridges. Guests run in it, and whoever logs in by the control network. */
  readonly control: LabHost
  /** A card on a network, which is made when it is first named. */
  readonly plug: (network: string, mac: string) => Promise<TapNetwork>
  /** A machine with one card, `eth0`, on a network. */
  readonly addHost: (name: string, network: string, card: HostCard) => Promise<LabHost>
  /** Ends whatever was started in the lab, and removes it. */
  readonly close: () => Promise<void>
}

export interface HostCard {
  readonly mac?: string
  /** With the lengths of their prefixes. @default none */
  readonly addresses?: readonly string[]
  /** Words of `ip route add`. @default none */
  readonly routes?: readonly string[]
}

export interface LabHost {
  readonly name: string
  readonly namespace: string
  /** Runs a shell command there. A failure is a result. */
  readonly run: (command: string, limitSeconds?: number) => Promise<LabResult>
  /** Starts a server that runs until the lab is closed. */
  readonly serve: (program: string, ...words: readonly string[]) => void
}

export interface LabResult {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Where a guest's host listens for it: the link-local network that control addresses are from. */
export const controlNetwork = 'control'
const controlAddress = '169.254.0.1/16'

const commandLimitSeconds = 20
const prefix = 'systemvm-lab'

export async function makeLab(): Promise<Lab> {
  await removeAbandoned()
  const servers: ProcessGroup[] = []
  const namespaces: string[] = []
  const bridges = new Map<string, Promise<void>>()
  let cards = 0

  const addNamespace = async (name: string): Promise<LabHost> => {
    const namespace = `${prefix}-${process.pid}-${name}`
    await ip('netns', 'add', namespace)
    namespaces.push(namespace)
    await ip('-n', namespace, 'link', 'set', 'lo', 'up')
    return {
      name,
      namespace,
      run: (command, limitSeconds = commandLimitSeconds) => runIn(namespace, command, limitSeconds),
      serve: (program, ...words) => {
        servers.push(
          startGroup('ip', ['netns', 'exec', namespace, program, ...words], { onLine: () => undefined }),
        )
      },
    }
  }

  const control = await addNamespace('control')
  const inControl = (...words: readonly string[]) => ip('-n', control.namespace, ...words)

  const makeBridge = async (network: string): Promise<void> => {
    // Without a querier of multicast groups a bridge that snoops forgets who listens.
    await inControl('link', 'add', network, 'type', 'bridge', 'mcast_snooping', '0')
    await inControl('link', 'set', network, 'up')
  }
  /** Those who ask at the same time wait for the same one. */
  const addBridge = (network: string): Promise<void> => {
    const bridge = bridges.get(network) ?? makeBridge(network)
    bridges.set(network, bridge)
    return bridge
  }
  await addBridge(controlNetwork)
  await inControl('address', 'add', controlAddress, 'dev', controlNetwork)

  return {
    control,
    plug: async (network, mac) => {
      await addBridge(network)
      const tap = `tap${cards++}`
      await inControl('tuntap', 'add', tap, 'mode', 'tap')
      await inControl('link', 'set', tap, 'master', network, 'up')
      return { tap, mac }
    },
    addHost: async (name, network, { mac, addresses = [], routes = [] }) => {
      await addBridge(network)
      const host = await addNamespace(name)
      const inHost = (...words: readonly string[]) => ip('-n', host.namespace, ...words)
      const port = `port${cards++}`
      await inControl('link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.namespace)
      await inControl('link', 'set', port, 'master', network, 'up')
      // Nobody has the same address: to look for one takes two seconds, in which the address cannot be used.
      await host.run('sysctl -q -w net.ipv6.conf.eth0.accept_dad=0')
      await inHost('link', 'set', 'eth0', ...(mac === undefined ? [] : ['address', mac]), 'up')
      for (const address of addresses) await inHost('address', 'add', address, 'dev', 'eth0')
      for (const route of routes) await inHost('route', 'add', ...route.split(' '))
      return host
    },
    close: async () => {
      await Promise.all(servers.map((server) => server.stop(1000)))
      for (const namespace of namespaces.reverse()) await ip('netns', 'delete', namespace)
    },
  }
}

async function runIn(namespace: string, command: string, limitSeconds: number): Promise<LabResult> {
  const { exitCode, stdout, stderr } = await execa(
    'ip',
    ['netns', 'exec', namespace, 'timeout', `${limitSeconds}`, 'sh', '-c', command],
    { reject: false, stdin: 'ignore' },
  )
  return { exitCode, stdout, stderr }
}

async function ip(...words: readonly string[]): Promise<void> {
  await execa('ip', words)
}

/** A test that was killed has left its namespaces, under the id of a process that is no more. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir('/run/netns').catch(() => [])
  const processes = new Set(await readdir('/proc'))
  for (const name of names) {
    const [, pid] = new RegExp(`^${prefix}-(\\d+)-`).exec(name) ?? []
    if (pid !== undefined && !processes.has(pid)) await ip('netns', 'delete', name)
  }
}
