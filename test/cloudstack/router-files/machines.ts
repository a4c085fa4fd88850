/** What a router is told of the machines that it serves. */

import { makeFile, type RouterFile } from './file.ts'

export interface Machine {
  readonly name: string
  readonly mac: string
  readonly address: string
  readonly gateway: string
}

export function dhcpEntry({ name, mac, address, gateway }: Machine): RouterFile {
  return makeFile('vm_dhcp_entry', 'dhcpentry', {
    host_name: name,
    mac_address: mac,
    ipv4_address: address,
    ipv6_duid: `00:03:00:01:${mac}`,
    dns_addresses: gateway,
    default_gateway: gateway,
    default_entry: true,
    lease_time: 0,
    remove: false,
  })
}

/** What a machine may ask about itself. */
export function machineData({ name, address }: Machine, userData: string, publicKey: string): RouterFile {
  return makeFile('vm_metadata', 'vmdata', {
    vm_ip_address: address,
    vm_metadata: [
      ['userdata', 'user-data', Buffer.from(userData).toString('base64')],
      ['metadata', 'service-offering', 'Small Instance'],
      ['metadata', 'availability-zone', 'zone1'],
      ['metadata', 'local-ipv4', address],
      ['metadata', 'local-hostname', name],
      ['metadata', 'public-ipv4', address],
      ['metadata', 'instance-id', name],
      ['metadata', 'public-keys', publicKey],
      // What is not known has no content.
      ['metadata', 'cloud-domain', ''],
    ],
  })
}

export function machinePassword({ address }: Machine, password: string): RouterFile {
  return makeFile('vm_password', 'vmpassword', { ip_address: address, password })
}
