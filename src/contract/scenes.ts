/**
 * The scenes in which guests are checked: how a file is booted, and what is handed over to the guest. Without KVM a boot
 * takes minutes, so each scene serves as many checks as possible, and the role scenes all resume from one base boot, saved
 * when the agent first answered.
 */

import { type Arch, archs } from '../arch.ts'
import type { AssertionId, ContractName } from '../config/contract.ts'
import type { PipelineFields } from '../config/pipeline.ts'
import { espOf } from '../disk/layout.ts'
import { type BootArguments, ipv6Words, userDataWords } from '../guest/boot-arguments.ts'
import type { Guest, SavedGuest } from '../guest/guest.ts'
import type { RoleName } from '../guest/roles.ts'
import type { AcceleratorChoice } from '../qemu/accelerator.ts'
import type { SshResult } from '../qemu/ssh.ts'
import { type DeviceModelName, type FormatSettings, type TargetName, targets } from '../targets/registry.ts'
import type { Expected } from './expected.ts'

/** How data reaches the guest. */
export type Delivery = 'agent' | 'port' | 'firmware' | 'none'

/** CPUs and memory of a guest. */
export interface MachineSize {
  readonly cpus: number
  readonly memoryMiB: number
}

/** CPUs and memory of guests, and of those in a router role. */
export interface MachineSizes extends MachineSize {
  readonly routers: MachineSize
}

export interface SceneSpec {
  /** One line for people. */
  readonly summary: string
  readonly way: Delivery
  readonly role?: RoleName
  /** Boot arguments that are added to those of the role, or replace them. */
  readonly words?: Readonly<Record<string, string>>
  /** A command that breaks the guest before the hand-over. First boot must then fail. */
  readonly breaks?: string
  /** Whether it resumes from the base boot that scenes of its size share. */
  readonly isBranch?: boolean
  /** Whether the machine gets the size of a router. */
  readonly isRouter?: boolean
  /** @default true */
  readonly hasSerialPort?: boolean
  /** Contracts that include the scene. @default all */
  readonly contracts?: readonly ContractName[]
  /** Architectures with such machines. @default all */
  readonly archs?: readonly Arch[]
  /** Overrides the target's device model. */
  readonly model?: DeviceModelName
  /** UEFI firmware that a PC has in this scene, if the disk has a boot loader for it. @default a BIOS */
  readonly uefi?: 'plain' | 'secure'
  /** Whether the legacy port has a lower number than the agent's. */
  readonly isPortFirst?: boolean
}

const routerBranch = { way: 'agent', isBranch: true, isRouter: true } as const

export const sceneSpecs = {
  boot: { summary: 'booted, with nothing handed over', way: 'none' },
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
    summary: 'a console proxy, by a virtio port that is numbered after the agent’s',
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
    // ARM machines always have a serial port.
    archs: ['x86_64'],
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
  'no-data': {
    summary: 'booted, with nothing handed over until the guest stops waiting',
    way: 'none',
    isBranch: true,
  },
  uefi: { summary: 'booted by UEFI firmware, with nothing handed over', way: 'none', uefi: 'plain' },
  'secure-boot': {
    summary: 'booted by UEFI firmware that starts only what is signed, with nothing handed over',
    way: 'none',
    uefi: 'secure',
  },
  virtualbox: { summary: 'a console proxy, by DMI strings', way: 'firmware', role: 'consoleproxy' },
} as const satisfies Readonly<Record<string, SceneSpec>>

export type SceneName = keyof typeof sceneSpecs

/** Scenes that end with the machine up; every file has one of them. */
export const everyFile: readonly SceneName[] = ['boot', 'secstorage', 'virtualbox']
/** PCs without a BIOS. */
export const byUefi: readonly SceneName[] = ['uefi', 'secure-boot']
/** Anything that does not depend on the hypervisor is checked on one file for all. */
export const once: readonly SceneName[] = ['secstorage']

/** Routers, DHCP servers, and load balancers. */
export const routerRoles = [
  'router',
  'redundant-router',
  'vpcrouter',
  'dhcpsrvr',
  'elbvm',
  'ilbvm',
] as const satisfies readonly SceneName[]

export const inRoles: readonly SceneName[] = ['secstorage', 'port', 'consoleproxy', ...routerRoles]

export const everyRole: readonly SceneName[] = [...inRoles, 'unknown-type']

export function scenesOf(target: TargetName): readonly SceneName[] {
  return targets[target].scenes
}

/** The sizes that a configuration asks for, for images of an architecture. */
export function machineSizes(
  { cpus, memoryMiB, routers }: PipelineFields['verification'],
  arch: Arch,
): MachineSizes {
  const { routerMemoryMiB } = archs[arch]
  return { cpus, memoryMiB, routers: { cpus: routers.cpus, memoryMiB: routers.memoryMiB ?? routerMemoryMiB } }
}

/** CPUs and memory of a scene's machine. */
export function sizeOf(scene: SceneName, sizes: MachineSizes): MachineSize {
  const spec: SceneSpec = sceneSpecs[scene]
  return spec.isRouter === true ? sizes.routers : sizes
}

/**
 * The scenes of a target that belong to a contract and that the image supports.
 * @param wanted only these; naming a UEFI scene asserts that a disk built elsewhere has a boot loader for it
 */
export function scenesFor(
  target: TargetName,
  contract: ContractName,
  image: Pick<Expected, 'arch' | 'partitions' | 'secureBoot'>,
  wanted?: readonly SceneName[],
): readonly SceneName[] {
  const isTrusted = wanted !== undefined && image.partitions === undefined
  return scenesOf(target).filter((name) => {
    const { contracts, archs, uefi }: SceneSpec = sceneSpecs[name]
    return (
      (wanted?.includes(name) ?? true) &&
      (contracts?.includes(contract) ?? true) &&
      (archs?.includes(image.arch) ?? true) &&
      (uefi === undefined || isTrusted || uefiOf(image).includes(uefi))
    )
  })
}

/** The kinds of UEFI firmware that can boot an image, other than the one that its machine always has. */
function uefiOf({
  arch,
  partitions = [],
  secureBoot = false,
}: Pick<Expected, 'arch' | 'partitions' | 'secureBoot'>): readonly ('plain' | 'secure')[] {
  if (archs[arch].uefi !== undefined || espOf({ partitions }) === undefined) return []
  return secureBoot ? ['plain', 'secure'] : ['plain']
}

/** The device model that a target's scene runs in. @param formats undefined if unknown */
export function modelOf(
  scene: SceneName,
  target: TargetName,
  formats: FormatSettings | undefined,
): DeviceModelName {
  const spec: SceneSpec = sceneSpecs[scene]
  const { uefiModels, deviceModelFor } = targets[target]
  const byFirmware = spec.uefi === undefined ? undefined : uefiModels?.[spec.uefi]
  return spec.model ?? byFirmware ?? deviceModelFor(formats?.[target])
}

/** What was recorded while a scene was set up, before any check ran. All times are in seconds on the host. */
export interface SceneRecord {
  /** From power-on to the agent's first answer. */
  agentSeconds?: number
  /** From power-on to a login prompt on the serial console. */
  loginSeconds?: number
  /** From hand-over to `boot_up_done`. */
  readySeconds?: number
  /** The agent's answer to CloudStack's own sync. */
  syncAnswer?: unknown
  /** Whether the guest accepted the hand-over. */
  wasTaken?: boolean
  /** Why the scene could not be set up, and the assertion this violates. */
  trouble?: { readonly id: AssertionId; readonly text: string; readonly isPanic?: boolean }
}

/** A guest in the state that its scene calls for, and the facts about it. */
export interface Scene {
  readonly name: SceneName
  readonly guest: Guest
  readonly model: DeviceModelName
  readonly acceleration: Pick<AcceleratorChoice, 'accelerator' | 'arch'>
  readonly expected: Expected
  readonly contract: ContractName
  readonly bootArguments: BootArguments | undefined
  readonly record: SceneRecord
  /** Size the disk was enlarged to; undefined if it was not. */
  readonly grownToBytes: number | undefined
  /** The contract's time limit on this host: longer if the guest is emulated. */
  readonly limit: (seconds: number) => number
  /** Logs in over SSH as root, with or without the key that was handed over. */
  readonly ssh: (command: string, options: { readonly withKey: boolean }) => Promise<SshResult>
}

/** A boot from which several scenes resume. If there is no saved guest, it failed and those scenes are not reached. */
export interface BaseBoot {
  /** The scene that reports its failure. */
  readonly bootedFor: SceneName
  /** Share of the boot time during which a busy host had no CPU for the guest, from 0 to 0.9. */
  readonly waitingShare: number
  readonly saved: SavedGuest | undefined
  readonly record: SceneRecord
  readonly lastLines: readonly string[]
  readonly screenshot: string | undefined
}
