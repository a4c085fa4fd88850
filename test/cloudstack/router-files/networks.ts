/** What a router is told of its networks and of the ways between them. */

import { makeFile, type RouterFile } from './file.ts'

export interface PublicAddress {
  readonly address: string
  readonly gateway: string
  readonly mask: string
  readonly mac: string
  /** Number of the interface. */
  readonly device: number
  readonly isSourceNat?: boolean
  readonly isStaticNat?: boolean
  readonly isPrivateGateway?: boolean
  readonly isNewCard?: boolean
}

export function publicAddresses(addresses: readonly PublicAddress[]): RouterFile {
  return makeFile('ip_associations', 'ips', {
    ip_address: addresses.map((each, index) => ({
      public_ip: each.address,
      source_nat: each.isSourceNat ?? false,
      add: true,
      one_to_one_nat: each.isStaticNat ?? false,
      first_i_p: index === 0,
      gateway: each.gateway,
      netmask: each.mask,
      vif_mac_address: each.mac,
      nic_dev_id: each.device,
      new_nic: each.isNewCard ?? false,
      // Private gateways are of the public kind too.
      nw_type: 'Public',
      is_private_gateway: each.isPrivateGateway ?? false,
      mtu: 1500,
    })),
  })
}

export interface Tier {
  readonly device: string
  readonly mac: string
  readonly address: string
  readonly gateway: string
  readonly mask: string
  readonly prefixLength: number
  readonly domain: string
  readonly networkId: number
}

/** A network of a VPC. */
export function guestNetwork(tier: Tier): RouterFile {
  return makeFile('guest_network', 'guestnetwork', {
    add: true,
    mac_address: tier.mac,
    device: tier.device,
    router_guest_ip: tier.address,
    router_guest_gateway: tier.gateway,
    router_guest_netmask: tier.mask,
    cidr: `${tier.prefixLength}`,
    dns: tier.gateway,
    domain_name: tier.domain,
    is_vr_guest_gateway: true,
    network_id: tier.networkId,
    mtu: 1500,
  })
}

export function staticRoute(network: string, gateway: string, ofAddress?: string): RouterFile {
  const address = ofAddress === undefined ? {} : { ip_address: ofAddress }
  return makeFile('static_routes', 'staticroutes', {
    routes: [{ revoke: false, ...address, gateway, network }],
  })
}

export interface BgpPeer {
  readonly address: string
  readonly asNumber: number
  /** The network that it is told of, and the number of the system that this is in. */
  readonly network: string
  readonly networkAsNumber: number
}

export function bgpPeer(peer: BgpPeer): RouterFile {
  return makeFile('bgp_peers', 'bgppeers', {
    peers: [
      {
        peer_id: 1,
        network_id: 207,
        ip4_address: peer.address,
        peer_as_number: peer.asNumber,
        network_as_number: peer.networkAsNumber,
        guest_ip4_cidr: peer.network,
        details: { EBGP_MultiHop: '2' },
      },
    ],
  })
}
