/** The boot arguments with which a host tells a system VM what it is, and their expected effects. */

import { gzipSync } from 'node:zlib'
import type { UserNetwork } from '../qemu/machine.ts'
import { macOf } from './machine.ts'
import { gatewayAddress, type HandedAddress, localGateway, type RoleName, roleShapes } from './roles.ts'

export interface BootArguments {
  readonly role: RoleName
  /** Value of `type=`. */
  readonly type: string
  /** Name of the machine. */
  readonly name: string
  /** Keys and values, in order. */
  readonly words: Readonly<Record<string, string>>
  /** Addresses, in the order of interfaces. */
  readonly addresses: readonly HandedAddress[]
  /** Interface on which the management server logs in. */
  readonly control: number
  /** Port that sshd listens on. */
  readonly sshPort: number
  /** Interface and gateway of the default route; undefined if there must be none. */
  readonly gateway: { readonly interface: string; readonly address: string } | undefined
  readonly nameServers: readonly string[]
  readonly rootPassword: string
}

/** Every machine has all three, since scenes resume from one base boot. */
const cards = [0, 1, 2] as const

/** An IPv6 network for guests, and its gateway. */
export const ipv6Words = {
  eth0ip6: 'fd12:3456:789a::1',
  eth0ip6prelen: '64',
  eth2ip6: '2001:db8:1::10',
  eth2ip6prelen: '64',
  ip6gateway: '2001:db8:1::1',
  ip6dns1: '2001:db8:1::53',
  ip6firewall: 'true',
} as const

/** The file that user data leaves behind. */
export const userDataFile = '/run/left-by-user-data'
const userData = `#cloud-config\nruncmd:\n  - [touch, ${userDataFile}]\n`
export const userDataWords = { userdata: gzipSync(userData).toString('base64') } as const

/** The file that `traps` would leave behind: values that a shell would act on. */
export const trapFile = '/run/handed-over-and-executed'
export const traps = {
  probe1: `$(touch\${IFS}${trapFile})`,
  probe2: `\`touch\${IFS}${trapFile}\``,
  probe3: `;touch\${IFS}${trapFile};`,
  probe4: `'"|touch\${IFS}${trapFile}&`,
}

/**
 * Decides the boot arguments of a role.
 * @param publicKey one line in OpenSSH format
 * @param more words to add, or to replace those of the role
 */
export function makeBootArguments(
  role: RoleName,
  publicKey: string,
  more: Readonly<Record<string, string>> = traps,
): BootArguments {
  const shape = roleShapes[role]
  const name = `${role.slice(0, 1)}-42-VM`
  const rootPassword = 'a-Password-of-42'
  const ofInterfaces = Object.fromEntries(
    shape.addresses.flatMap(({ address, mask }, index) => [
      [`eth${index}ip`, address],
      [`eth${index}mask`, mask],
    ]),
  )
  // The third interface has the default route; a machine without one uses its first.
  const isThird = shape.addresses.length > 2
  const gateway = isThird ? gatewayAddress : (shape.addresses[0] as HandedAddress).network.host
  const nameServers = ['192.168.56.53', '192.168.56.54', '203.0.113.53', '203.0.113.54']
  const words = {
    template: 'domP',
    type: shape.type,
    name,
    host: localGateway,
    port: '8250',
    ...ofInterfaces,
    ...(shape.hasGateway || role === 'redundant-router' ? { gateway } : {}),
    internaldns1: nameServers[0] as string,
    internaldns2: nameServers[1] as string,
    dns1: nameServers[2] as string,
    dns2: nameServers[3] as string,
    nic_macs: cards.map(macOf).join('|'),
    ...shape.words,
    disable_rp_filter: 'true',
    vmpassword: rootPassword,
    authorized_key: Buffer.from(publicKey).toString('base64'),
    // Nothing here copies CloudStack's scripts into the guest.
    scriptswait: '0',
    ...more,
  }
  return {
    role,
    type: shape.type,
    name,
    words,
    addresses: shape.addresses,
    control: shape.control,
    sshPort: shape.sshPort ?? 3922,
    gateway: shape.hasGateway ? { interface: isThird ? 'eth2' : 'eth0', address: gateway } : undefined,
    nameServers,
    rootPassword,
  }
}

/** The command line as the guest's file contains it. */
export function renderCommandLine({ words }: BootArguments): string {
  return Object.entries(words)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}

/** What older CloudStack hosts sent through the `.vport` socket. */
export function renderPortLines(bootArguments: BootArguments, publicKey: string): string {
  return `pubkey:${publicKey.trim()}\ncmdline:${renderCommandLine(bootArguments).replaceAll(' ', '%')}\n`
}

/** The machine's networks, with a host port that is forwarded to SSH. A card without an address gets an empty network. */
export function networksOf(
  { addresses, control: index, sshPort: guestPort }: BootArguments,
  sshPort: number,
): readonly UserNetwork[] {
  return cards.map((position) => {
    const { network, address } = addresses[position] ?? {}
    const forward = { hostPort: sshPort, guestAddress: address ?? '', guestPort }
    return {
      ...(network ?? { network: `10.250.${position}.0/24`, host: `10.250.${position}.1` }),
      // The router of a network gives a machine the address stated in its boot arguments.
      ...(address === undefined ? {} : { lease: address }),
      ...(position === index ? { forward } : {}),
    }
  })
}

/** Networks of a machine without boot arguments: DHCP, and no route to the outside. */
export function plainNetworks(sshPort: number): readonly UserNetwork[] {
  return cards.map((position) => ({
    network: `10.250.${position}.0/24`,
    host: `10.250.${position}.1`,
    ...(position === 0 ? { forward: { hostPort: sshPort, guestPort: 3922 } } : {}),
  }))
}
