/** What is outside a cloud: the gateway of its public network, with a name server and a web server behind it. */

import { fileURLToPath } from 'node:url'
import type { HostCard, Lab, LabHost } from './lab.ts'

const beside = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export const internet = {
  gateway: '203.0.113.1',
  server: '198.51.100.10',
  name: 'www.example.org',
} as const

/** @param more addresses and routes beside those of IPv4 */
export async function addInternet(
  lab: Lab,
  { addresses = [], routes = [] }: HostCard = {},
): Promise<LabHost> {
  const host = await lab.addHost('internet', 'public', {
    addresses: [`${internet.gateway}/24`, `${internet.server}/32`, ...addresses],
    routes,
  })
  serveWeb(host, 80)
  host.serve('python3', beside('name-server.py'), internet.name, internet.server)
  return host
}

/** Programs that wait for a BGP speaker and say which it was, and that begin an exchange of IKE and say whether it went on. */
export const bgpListener = beside('bgp-listener.py')
export const ikeProbe = beside('ike-probe.py')

/** Has a host answer on TCP ports with its name and the address that asked. */
export function serveWeb(host: LabHost, ...ports: readonly number[]): void {
  host.serve('python3', beside('web-server.py'), host.name, ...ports.map(String))
}
