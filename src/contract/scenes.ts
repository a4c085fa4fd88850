/**
 * The scenes that guests are looked at in: how a file is booted, and what is handed over to it. Without KVM a boot takes
 * minutes, so as many checks as can share one; and the scenes of roles go on from one boot that was stopped when the
 * agent had answered.
 */

import type { AssertionId, ContractName } from '../config/contract.ts'
import { type BootArguments, ipv6Words, type RoleName, userDataWords } from '../guest/boot-arguments.ts'
import type { Guest, SavedGuest } from '../guest/guest.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import type { SshResult } from '../qemu/ssh.ts'
import { type DeviceModelName, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Expected } from './expected.ts'

/** How data reach the guest. */
export type Delivery = 'agent' | 'port' | 'firmware' | 'none'

/** What a guest is given. */
export interface MachineSize {
  readonly cpus: number
  readonly memoryMiB: number
}

/** What guests are given, and those in a router's role. */
export interface MachineSizes extends MachineSize {
  readonly routers: MachineSize
}

export interface SceneSpec {
  /** What happens, in one line. */
  readonly summary: string
  readonly way: Delivery
  readonly role?: RoleName
  /** Words that are handed over beside those of the role, or instead. */
  readonly words?: Readonly<Record<string, string>>
  /** What is broken in the guest before anything is handed over: a command. Its first boot has to fail of it. */
  readonly breaks?: string
  /** Whether it goes on from the boot that scenes of its size share. */
  readonly isBranch?: boolean
  /** Whether the machine has a router's size. */
  readonly isRouter?: boolean
  /** @default true */
  readonly hasSerialPort?: boolean
  /** Which contract it is for. @default each */
  readonly contracts?: readonly ContractName[]
  /** Overrides the target's device model. */
  readonly model?: DeviceModelName
  /** Whether the port of old is numbered before the agent's. */
  readonly isPortFirst?: boolean
}

const routerBranch = { way: 'agent', isBranch: true, isRouter: true } as const

export const sceneSpecs = {
  boot: { summary: 'booted, and handed nothing', way: 'none' },
  secstorage: {
    summary: 'a storage VM, by the guest agent',
    way: 'agent',
    role: 'secstorage',
    isBranch: true,
  },
  port: {
    summary: 'a console proxy, by a virtio port that is numbered before the agent’s, on virtio SCSI',
    way: 'port',
    role: 'consoleproxy',
    contracts: ['cloudstack'],
    model: 'virtio-scsi',
    isPortFirst: true,
  },
  'port-second': {
    summary: 'a console proxy, by a virtio port that is numbered behind the agent’s',
    way: 'port',
    role: 'consoleproxy',
    contracts: ['cloudstack'],
    isBranch: true,
  },
  consoleproxy: {
    summary: 'a console proxy, by the guest agent',
    way: 'agent',
    role: 'consoleproxy',
    contracts: ['cloudstack-payload'],
    isBranch: true,
  },
  router: {
    summary: 'a router with an IPv6 network, by the guest agent',
    ...routerBranch,
    role: 'router',
    words: ipv6Words,
  },
  'redundant-router': {
    summary: 'a redundant router, by the guest agent',
    ...routerBranch,
    role: 'redundant-router',
  },
  vpcrouter: { summary: 'a VPC router, by the guest agent', ...routerBranch, role: 'vpcrouter' },
  dhcpsrvr: {
    summary: 'a DHCP server with user data, by the guest agent',
    ...routerBranch,
    role: 'dhcpsrvr',
    words: userDataWords,
  },
  elbvm: { summary: 'an elastic load balancer, by the guest agent', ...routerBranch, role: 'elbvm' },
  ilbvm: { summary: 'an internal load balancer, by the guest agent', ...routerBranch, role: 'ilbvm' },
  'no-serial': {
    summary: 'a router without a serial port, by the guest agent',
    way: 'agent',
    role: 'router',
    isRouter: true,
    hasSerialPort: false,
  },
  cksnode: {
    summary: 'a Kubernetes node, by the guest agent',
    way: 'agent',
    role: 'cksnode',
    isBranch: true,
  },
  sharedfsvm: {
    summary: 'a shared file system, by the guest agent',
    way: 'agent',
    role: 'sharedfsvm',
    isBranch: true,
  },
  'unknown-type': {
    summary: 'a type that no image knows, by the guest agent',
    ...routerBranch,
    role: 'router',
    words: { type: 'novelty' },
    contracts: ['cloudstack'],
  },
  'broken-filter': {
    summary: 'a router whose iptables-restore fails',
    ...routerBranch,
    role: 'router',
    breaks: 'ln -sf /bin/false /etc/alternatives/iptables-restore',
    contracts: ['cloudstack'],
  },
  'no-data': { summary: 'handed nothing until the guest stops waiting', way: 'none', isBranch: true },
  virtualbox: { summary: 'a console proxy, by DMI strings', way: 'firmware', role: 'consoleproxy' },
} as const satisfies Readonly<Record<string, SceneSpec>>

export type SceneName = keyof typeof sceneSpecs

/** Scenes that end in a machine that is up; one for each file. */
export const everyFile: readonly SceneName[] = ['boot', 'secstorage', 'virtualbox']
/** Of what does not depend on the hypervisor, one file's answer is that of all. */
export const once: readonly SceneName[] = ['secstorage']

export const inRoles: readonly SceneName[] = [
  'secstorage',
  'port',
  'consoleproxy',
  'router',
  'redundant-router',
  'vpcrouter',
  'dhcpsrvr',
  'elbvm',
  'ilbvm',
]

export const everyRole: readonly SceneName[] = [...inRoles, 'unknown-type']

/** The scenes of a target's file. */
export function scenesOf(target: TargetName): readonly SceneName[] {
  return targets[target].scenes
}

/** What the machine of a scene is given. */
export function sizeOf(scene: SceneName, sizes: MachineSizes): MachineSize {
  const spec: SceneSpec = sceneSpecs[scene]
  return spec.isRouter === true ? sizes.routers : sizes
}

/** Those of a target's scenes that are for a contract. */
export function scenesFor(target: TargetName, contract: ContractName): readonly SceneName[] {
  return scenesOf(target).filter((name) => {
    const { contracts }: SceneSpec = sceneSpecs[name]
    return contracts === undefined || contracts.includes(contract)
  })
}

/** The device model that a scene of a target runs in. @param formats undefined where nobody knows them */
export function modelOf(
  scene: SceneName,
  target: TargetName,
  formats: FormatSettings | undefined,
): DeviceModelName {
  const spec: SceneSpec = sceneSpecs[scene]
  return spec.model ?? targets[target].deviceModelFor(formats?.[target])
}

/** What was seen on the way to a scene, before any check was asked. All in seconds of the host. */
export interface SceneRecord {
  /** From power-on to the agent's first answer. */
  agentSeconds?: number
  /** From power-on to a login prompt on the serial console. */
  loginSeconds?: number
  /** From the hand-over to `boot_up_done`. */
  readySeconds?: number
  /** What the agent has answered to CloudStack's own sync. */
  syncAnswer?: unknown
  /** Whether what was handed over has been taken. */
  wasTaken?: boolean
  /** Why the scene could not be brought about, and the assertion that this is against. */
  trouble?: { readonly id: AssertionId; readonly text: string; readonly isPanic?: boolean }
}

/** A guest that is where its scene wants it, and what is known of it. */
export interface Scene {
  readonly name: SceneName
  readonly guest: Guest
  readonly model: DeviceModelName
  readonly acceleration: Pick<AcceleratorChoice, 'accelerator'>
  readonly expected: Expected
  readonly contract: ContractName
  readonly bootArguments: BootArguments | undefined
  readonly record: SceneRecord
  /** Size that the disk was enlarged to; undefined where it was not. */
  readonly grownToBytes: number | undefined
  /** Time limit of the contract on this host, which is patient where a guest is emulated. */
  readonly limit: (seconds: number) => number
  /** Logs in by SSH as root: with the key that was handed over, or with none. */
  readonly ssh: (command: string, options: { readonly withKey: boolean }) => Promise<SshResult>
}

/** A boot that several scenes go on from. Without a saved guest it has failed, and so have they. */
export interface BaseBoot {
  readonly saved: SavedGuest | undefined
  readonly record: SceneRecord
  readonly lastLines: readonly string[]
  readonly screenshot: string | undefined
}
