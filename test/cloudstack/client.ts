/** A tenant's machine in the lab, as a router sees it from outside. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Lab, LabHost } from './lab.ts'
import type { Machine } from './router-files/machines.ts'

export interface Client extends LabHost {
  readonly machine: Machine
  /** Asks for a lease and takes what it gets. Undefined where nobody answers. */
  readonly lease: () => Promise<Lease | undefined>
  /** Body of what an HTTP server answers; undefined where it cannot be reached, or refuses. */
  readonly fetch: (url: string, ...words: readonly string[]) => Promise<string | undefined>
}

export interface Lease {
  readonly address: string
  readonly router: string
  readonly nameServers: readonly string[]
  readonly domain: string
}

const leaseScript = `#!/bin/sh
# udhcpc runs it with what the server has offered.
set -eu
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface"
ip route replace default via "$router"
printf '%s\\n' "$ip" "$router" "$dns" "\${domain:-}" >"$LEASE"
`

export async function addClient(
  lab: Lab,
  folder: string,
  network: string,
  machine: Machine,
): Promise<Client> {
  const host = await lab.addHost(machine.name, network, { mac: machine.mac })
  const script = join(folder, 'lease-script')
  await writeFile(script, leaseScript, { mode: 0o755 })
  return {
    ...host,
    machine,
    lease: async () => {
      const file = join(folder, `lease-${machine.name}`)
      const words = ['-i', 'eth0', '-f', '-q', '-n', '-t', '4', '-T', '4', '-s', script]
      const { exitCode } = await host.run(`LEASE='${file}' udhcpc ${words.join(' ')}`, 60)
      return exitCode === 0 ? readLease(await readFile(file, 'utf8')) : undefined
    },
    fetch: (url, ...words) => fetchFrom(host, url, ...words),
  }
}

function readLease(text: string): Lease {
  const [address = '', router = '', nameServers = '', domain = ''] = text.split('\n')
  return { address, router, nameServers: nameServers.split(' '), domain }
}

/** Body of what an HTTP server answers to a host; undefined where it cannot be reached, or refuses. */
export async function fetchFrom(
  host: LabHost,
  url: string,
  ...words: readonly string[]
): Promise<string | undefined> {
  const options = ['--silent', '--fail', '--noproxy', "'*'", '--connect-timeout', '8', '--max-time', '20']
  const quoted = words.map((word) => `'${word}'`)
  const { exitCode, stdout } = await host.run(`curl ${[...options, ...quoted, `'${url}'`].join(' ')}`, 30)
  return exitCode === 0 ? stdout : undefined
}

/** Addresses of a name, as a name server has them. */
export async function resolveFrom(host: LabHost, server: string, name: string): Promise<readonly string[]> {
  const { stdout } = await host.run(`dig +short +time=5 +tries=2 '@${server}' '${name}' A`, 30)
  return stdout.split('\n').filter((line) => /^[\d.]+$/.test(line))
}
