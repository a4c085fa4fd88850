/** What a router is told to let through, and to whom it forwards. */

import { makeFile, type RouterFile } from './file.ts'

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
  return makeFile('firewall_rules', 'firewallrules', { rules: rules.map(firewallRule) })
}

/** @param guestNetwork the IPv6 network behind the router */
export function firewallRulesOfIpv6(rules: readonly FirewallRule[], guestNetwork: string): RouterFile {
  return makeFile('ipv6_firewall_rules', 'ipv6firewallrules', {
    rules: rules.map((rule) => ({ ...firewallRule(rule), guest_ip6_cidr: guestNetwork })),
  })
}

export interface Forwarding {
  readonly protocol: 'tcp' | 'udp'
  readonly from: { readonly address: string; readonly port: number }
  readonly to: { readonly address: string; readonly port: number }
}

export function forwardingRules(rules: readonly Forwarding[]): RouterFile {
  return makeFile('forwarding_rules', 'forwardrules', {
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
  return makeFile('staticnat_rules', 'staticnatrules', {
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
  return makeFile('network_acl', 'networkacl', {
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
