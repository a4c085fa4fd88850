/** The roles of system VMs: the type, the addresses, and the boot arguments that a host gives each of them. */

import type { UserNetwork } from '../qemu/machine.ts'

/** One interface's part of the boot arguments. */
export interface HandedAddress {
  readonly address: string
  readonly prefixLength: number
  readonly mask: string
  readonly network: Pick<UserNetwork, 'network' | 'host'>
}

export const roleNames = [
  'secstorage',
  'consoleproxy',
  'router',
  'redundant-router',
  'vpcrouter',
  'dhcpsrvr',
  'elbvm',
  'ilbvm',
  'cksnode',
  'sharedfsvm',
] as const

export type RoleName = (typeof roleNames)[number]

const control: HandedAddress = {
  address: '169.254.100.5',
  prefixLength: 16,
  mask: '255.255.0.0',
  network: { network: '169.254.0.0/16', host: '169.254.0.1' },
}

const management: HandedAddress = {
  address: '192.168.56.10',
  prefixLength: 24,
  mask: '255.255.255.0',
  network: { network: '192.168.56.0/24', host: '192.168.56.1' },
}

// A block reserved for documentation: public, and unused.
const publicNetwork: HandedAddress = {
  address: '203.0.113.10',
  prefixLength: 24,
  mask: '255.255.255.0',
  network: { network: '203.0.113.0/24', host: '203.0.113.1' },
}

const guestNetwork: HandedAddress = {
  address: '10.1.1.1',
  prefixLength: 24,
  mask: '255.255.255.0',
  network: { network: '10.1.1.0/24', host: '10.1.1.254' },
}

/** Gateway of the management network, and a network behind it. */
export const localGateway = management.network.host
export const managementNetwork = '192.168.60.0/24'

export interface RoleShape {
  readonly type: string
  readonly addresses: readonly HandedAddress[]
  readonly control: number
  readonly hasGateway: boolean
  /** @default 3922 */
  readonly sshPort?: number
  readonly words: Readonly<Record<string, string>>
}

const systemVm = { addresses: [control, management, publicNetwork], control: 0, hasGateway: true } as const
/** Gateway of the public network. */
export const gatewayAddress = publicNetwork.network.host
const routerWords = {
  domain: 'guests.example.org',
  cidrsize: '24',
  dhcprange: '10.1.1.1',
  guestgw: guestNetwork.address,
  guestbrd: '10.1.1.255',
  guestcidrsize: '24',
  dnssearchorder: 'guests.example.org',
}
const managed = { mgmtcidr: managementNetwork, localgw: localGateway }

// A user's machine on the user's network, behind another router.
const node = {
  addresses: [{ ...guestNetwork, address: '10.1.1.20' }],
  control: 0,
  hasGateway: true,
  sshPort: 22,
  words: {},
} as const

export const roleShapes: Readonly<Record<RoleName, RoleShape>> = {
  secstorage: {
    ...systemVm,
    type: 'secstorage',
    words: { ...managed, instance: 'SecStorage', role: 'templateProcessor', mtu: '1500', sslcopy: 'false' },
  },
  consoleproxy: {
    ...systemVm,
    type: 'consoleproxy',
    words: { ...managed, premium: 'true', zone: '1', pod: '1', proxy_vm: '2', vncport: '8443' },
  },
  router: {
    type: 'router',
    addresses: [guestNetwork, control, publicNetwork],
    control: 1,
    hasGateway: true,
    words: routerWords,
  },
  'redundant-router': {
    type: 'router',
    addresses: [{ ...guestNetwork, address: '10.1.1.2' }, control, publicNetwork],
    control: 1,
    hasGateway: false,
    words: {
      ...routerWords,
      redundant_router: '1',
      redundant_state: 'BACKUP',
      router_pr: '100',
      advert_int: '1',
    },
  },
  vpcrouter: {
    type: 'vpcrouter',
    addresses: [control],
    control: 0,
    hasGateway: false,
    words: { vpccidr: '10.1.0.0/16', domain: 'vpc.example.org' },
  },
  dhcpsrvr: {
    type: 'dhcpsrvr',
    addresses: [guestNetwork, control],
    control: 1,
    hasGateway: true,
    words: { ...routerWords, sshonguest: 'false' },
  },
  elbvm: {
    type: 'elbvm',
    addresses: [guestNetwork, control],
    control: 1,
    hasGateway: true,
    words: { domain: 'guests.example.org' },
  },
  ilbvm: {
    type: 'ilbvm',
    addresses: [guestNetwork, control],
    control: 1,
    hasGateway: true,
    words: { domain: 'guests.example.org' },
  },
  cksnode: { ...node, type: 'cksnode' },
  sharedfsvm: { ...node, type: 'sharedfsvm' },
}
