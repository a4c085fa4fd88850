/** What a router is told of tunnels. */

import { makeFile, type RouterFile } from './file.ts'

export function remoteAccessVpn(
  publicIp: string,
  guest: { readonly network: string; readonly device: string },
): RouterFile {
  return makeFile('remote_access_vpn', 'remoteaccessvpn', {
    create: true,
    ip_range: '10.1.2.2-10.1.2.8',
    preshared_key: 'a-shared-secret',
    vpn_server_ip: publicIp,
    local_ip: '10.1.2.1',
    local_cidr: guest.network,
    public_interface: guest.device,
  })
}

export function vpnUser(user: string, password: string): RouterFile {
  return makeFile('vpn_user_list', 'vpnuserlist', { vpn_users: [{ user, password, add: true }] })
}

export interface SiteToSite {
  readonly localAddress: string
  readonly localGateway: string
  readonly localNetwork: string
  readonly peerAddress: string
  readonly peerNetwork: string
}

export function siteToSiteVpn(vpn: SiteToSite): RouterFile {
  return makeFile('site_2_site_vpn', 'site2sitevpn', {
    local_public_ip: vpn.localAddress,
    local_guest_cidr: vpn.localNetwork,
    local_public_gateway: vpn.localGateway,
    peer_gateway_ip: vpn.peerAddress,
    peer_guest_cidr_list: vpn.peerNetwork,
    esp_policy: 'aes128-sha256',
    ike_policy: 'aes128-sha256;modp2048',
    ipsec_psk: 'another-shared-secret',
    ike_version: 'ikev2',
    ike_lifetime: 86400,
    esp_lifetime: 3600,
    create: true,
    dpd: true,
    passive: false,
    encap: false,
    split_connections: false,
  })
}
