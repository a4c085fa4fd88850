/**
 * What the management server sends to a router: one function for each kind of file, which writes it as its JSON writer does.
 * Fields that a script does not read are sent too, since the scripts keep what they were sent.
 */

import type { RouterFile } from './router-guest.ts'

const file = (name: string, type: string, content: object): RouterFile => ({
  name: `${name}.json`,
  content: { ...content, type, delete_from_processed_cache: false },
})

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
  return file('ip_associations', 'ips', {
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
  return file('guest_network', 'guestnetwork', {
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

export interface Machine {
  readonly name: string
  readonly mac: string
  readonly address: string
  readonly gateway: string
}

export function dhcpEntry({ name, mac, address, gateway }: Machine): RouterFile {
  return file('vm_dhcp_entry', 'dhcpentry', {
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
  return file('vm_metadata', 'vmdata', {
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
  return file('vm_password', 'vmpassword', { ip_address: address, password })
}

export interface FirewallRule {
  readonly id: number
  readonly direction: 'Ingress' | 'Egress'
  readonly protocol: 'tcp' | 'udp' | 'icmp' | 'all'
  readonly ports?: readonly [number, number]
  /** Public address that it is for; none for what goes out. */
  readonly address?: string
  readonly sources: readonly string[]
  readonly isRevoked?: boolean
  /** Whether the network lets out whatever no rule is about. @default false */
  readonly isOpenByDefault?: boolean
}

const firewallRule = (rule: FirewallRule) => ({
  id: rule.id,
  src_vlan_tag: '',
  src_ip: rule.address ?? '',
  protocol: rule.protocol,
  ...(rule.ports === undefined ? {} : { src_port_range: rule.ports }),
  revoked: rule.isRevoked ?? false,
  already_added: false,
  source_cidr_list: rule.sources,
  dest_cidr_list: [],
  purpose: 'Firewall',
  ...(rule.protocol === 'icmp' ? { icmp_type: -1, icmp_code: -1 } : {}),
  traffic_type: rule.direction,
  default_egress_policy: rule.isOpenByDefault ?? false,
})

export function firewallRules(rules: readonly FirewallRule[]): RouterFile {
  return file('firewall_rules', 'firewallrules', { rules: rules.map(firewallRule) })
}

/** @param guestNetwork the IPv6 network behind the router */
export function firewallRulesOfIpv6(rules: readonly FirewallRule[], guestNetwork: string): RouterFile {
  return file('ipv6_firewall_rules', 'ipv6firewallrules', {
    rules: rules.map((rule) => ({ ...firewallRule(rule), guest_ip6_cidr: guestNetwork })),
  })
}

export interface Forwarding {
  readonly protocol: 'tcp' | 'udp'
  readonly from: { readonly address: string; readonly port: number }
  readonly to: { readonly address: string; readonly port: number }
}

export function forwardingRules(rules: readonly Forwarding[]): RouterFile {
  return file('forwarding_rules', 'forwardrules', {
    rules: rules.map(({ protocol, from, to }) => ({
      revoke: false,
      protocol,
      source_ip_address: from.address,
      source_port_range: `${from.port}:${from.port}`,
      destination_ip_address: to.address,
      destination_port_range: `${to.port}:${to.port}`,
      source_cidr_list: '',
    })),
  })
}

export function staticNat(publicIp: string, guestIp: string): RouterFile {
  return file('staticnat_rules', 'staticnatrules', {
    rules: [
      {
        revoke: false,
        source_ip_address: publicIp,
        source_port_range: '0:0',
        destination_ip_address: guestIp,
      },
    ],
  })
}

export interface Balancing {
  readonly address: string
  readonly port: number
  readonly servers: readonly { readonly address: string; readonly port: number }[]
}

/** @param controlAddress where statistics are shown */
export function loadBalancer(balancing: Balancing, controlAddress: string): RouterFile {
  return file('load_balancer', 'loadbalancer', {
    rules: [
      {
        configuration: haproxyLines(balancing, controlAddress),
        tmp_cfg_file_path: '/etc/haproxy/',
        tmp_cfg_file_name: 'haproxy.cfg.new.1700000000000',
        ssl_certs: [],
        add_rules: [`${balancing.address}:${balancing.port}:`],
        remove_rules: [],
        stat_rules: [`${controlAddress}:8081:0/0:,`],
        router_ip: controlAddress,
      },
    ],
  })
}

function haproxyLines({ address, port, servers }: Balancing, controlAddress: string): readonly string[] {
  const pool = `${address.replaceAll('.', '_')}-${port}`
  const section = (head: string, ...lines: readonly string[]) => [
    head,
    ...lines.map((line) => `\t${line}`),
    '\t ',
  ]
  return [
    ...section(
      'global',
      'log 127.0.0.1:3914   local0 warning',
      'maxconn 4096',
      'maxpipes 1024',
      'chroot /var/lib/haproxy',
      'user haproxy',
      'group haproxy',
      'stats socket /run/haproxy/admin.sock',
      'daemon',
    ),
    ...section(
      'defaults',
      ...['log     global', 'mode    tcp', 'option  dontlognull', 'retries 3', 'option redispatch'],
      ...['option forwardfor', 'option httpclose', 'timeout connect    5000'],
      ...['timeout client     50000', 'timeout server     50000'],
    ),
    `\nlisten stats_on_private\n\tbind ${controlAddress}:8081\n\tmode http\n\toption httpclose\n\tstats enable\n\tstats uri     /admin?stats\n\tstats realm   Haproxy\\ Statistics\n\tstats auth    admin1:a-password\n`,
    ...section(
      `listen ${pool}`,
      `bind ${address}:${port}`,
      'balance roundrobin',
      ...servers.map((server, index) => `server ${pool}_${index} ${server.address}:${server.port} check`),
    ),
  ]
}

export function staticRoute(network: string, gateway: string, ofAddress?: string): RouterFile {
  const address = ofAddress === undefined ? {} : { ip_address: ofAddress }
  return file('static_routes', 'staticroutes', { routes: [{ revoke: false, ...address, gateway, network }] })
}

export type AclRule =
  | {
      readonly type: 'tcp' | 'udp'
      readonly cidr: string
      readonly allowed: boolean
      readonly ports: readonly [number, number]
    }
  | { readonly type: 'icmp' | 'all'; readonly cidr: string; readonly allowed: boolean }

export interface NetworkAcl {
  readonly device: string
  readonly mac: string
  readonly address: string
  readonly prefixLength: number
  readonly isPrivateGateway?: boolean
  readonly ingress: readonly AclRule[]
  readonly egress: readonly AclRule[]
}

export function networkAcl(acl: NetworkAcl): RouterFile {
  return file('network_acl', 'networkacl', {
    device: acl.device,
    mac_address: acl.mac,
    private_gateway_acl: acl.isPrivateGateway ?? false,
    nic_ip: acl.address,
    nic_netmask: `${acl.prefixLength}`,
    ingress_rules: acl.ingress.map(aclRule),
    egress_rules: acl.egress.map(aclRule),
  })
}

function aclRule(rule: AclRule): object {
  const { type, cidr, allowed } = rule
  if ('ports' in rule) return { type, first_port: rule.ports[0], last_port: rule.ports[1], cidr, allowed }
  return { type, ...(type === 'icmp' ? { icmp_type: -1, icmp_code: -1 } : {}), cidr, allowed }
}

export function remoteAccessVpn(
  publicIp: string,
  guest: { readonly network: string; readonly device: string },
): RouterFile {
  return file('remote_access_vpn', 'remoteaccessvpn', {
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
  return file('vpn_user_list', 'vpnuserlist', { vpn_users: [{ user, password, add: true }] })
}

export interface SiteToSite {
  readonly localAddress: string
  readonly localGateway: string
  readonly localNetwork: string
  readonly peerAddress: string
  readonly peerNetwork: string
}

export function siteToSiteVpn(vpn: SiteToSite): RouterFile {
  return file('site_2_site_vpn', 'site2sitevpn', {
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

export interface BgpPeer {
  readonly address: string
  readonly asNumber: number
  /** The network that it is told of, and the number of the system that this is in. */
  readonly network: string
  readonly networkAsNumber: number
}

export function bgpPeer(peer: BgpPeer): RouterFile {
  return file('bgp_peers', 'bgppeers', {
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
