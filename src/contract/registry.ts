/** All checks, and what cannot be checked here. */

import type { AssertionId, ContractName } from '../config/contract.ts'
import type { TargetName } from '../targets/registry.ts'
import type { Check, ContentCheck, FileCheck, SceneCheck } from './check.ts'
import { agentChecks } from './checks/agent.ts'
import { bootChecks } from './checks/boot.ts'
import { bootArgumentChecks } from './checks/boot-arguments.ts'
import { contentChecks } from './checks/content.ts'
import { fileChecks } from './checks/file.ts'
import { filterContentChecks, filterSceneChecks } from './checks/filter.ts'
import { hostContentChecks, hostSceneChecks } from './checks/host.ts'
import { hygieneChecks } from './checks/hygiene.ts'
import { hypervisorChecks } from './checks/hypervisor.ts'
import { identityChecks } from './checks/identity.ts'
import { ipv6Checks } from './checks/ipv6.ts'
import { localeChecks } from './checks/locale.ts'
import { networkChecks } from './checks/network.ts'
import { nodeChecks } from './checks/node.ts'
import { patchingChecks } from './checks/patching.ts'
import { powerChecks } from './checks/power.ts'
import { programChecks } from './checks/programs.ts'
import { registrationChecks } from './checks/registration.ts'
import { roleChecks } from './checks/role.ts'
import { firewallContentChecks, roleAccessChecks } from './checks/role-access.ts'
import { roleServiceChecks } from './checks/role-services.ts'
import { scriptBaseChecks } from './checks/script-base.ts'
import { sshChecks } from './checks/ssh.ts'
import { unitChecks } from './checks/units.ts'
import type { SceneName } from './scenes.ts'

/** An assertion can have several checks, e.g. of the file and of a guest. */
export const checks: readonly Check[] = [
  ...fileChecks,
  ...registrationChecks,
  ...contentChecks,
  ...hygieneChecks,
  ...localeChecks,
  ...scriptBaseChecks,
  ...firewallContentChecks,
  ...filterContentChecks,
  ...hostContentChecks,
  ...bootChecks,
  ...sshChecks,
  ...programChecks,
  ...unitChecks,
  ...identityChecks,
  ...powerChecks,
  ...agentChecks,
  ...bootArgumentChecks,
  ...networkChecks,
  ...hypervisorChecks,
  ...roleServiceChecks,
  ...roleAccessChecks,
  ...roleChecks,
  ...ipv6Checks,
  ...nodeChecks,
  ...filterSceneChecks,
  ...hostSceneChecks,
  ...patchingChecks,
]

/** Assertions without any check, and why. */
export const unchecked: readonly { readonly id: AssertionId; readonly reason: string }[] = [
  {
    id: 'E0',
    reason:
      'this needs a Xen host with Viridian extensions; QEMU has Xen guests since 8.0, only with KVM, and none with both',
  },
]

/** Parts of assertions that their checks do not reach. */
export const unreached: readonly { readonly id: AssertionId; readonly reason: string }[] = [
  {
    id: 'E1',
    reason:
      'booting on Xen itself, PV or HVM, needs a Xen host, or QEMU 8.0 or newer with KVM: this only looks for the program that it needs',
  },
  { id: 'E2', reason: 'only VMware provides machine.id; the OVF is read, not imported into vSphere' },
  { id: 'E3', reason: 'only Hyper-V fills its key-value pool' },
  { id: 'E4', reason: "XenServer's rules are checked, but without a XenServer" },
]

const isAsked = (check: Check, contract: ContractName) => check.contracts?.includes(contract) ?? true

export function fileChecksOf(target: TargetName | undefined): readonly FileCheck[] {
  return checks.filter((check): check is FileCheck => {
    if (check.at !== 'file') return false
    return check.targets === undefined || (target !== undefined && check.targets.includes(target))
  })
}

export function contentChecksOf(contract: ContractName): readonly ContentCheck[] {
  return checks.filter((check): check is ContentCheck => check.at === 'content' && isAsked(check, contract))
}

/** In the order they run. */
export function sceneChecksOf(scene: SceneName, contract: ContractName): readonly SceneCheck[] {
  const own = checks.filter(
    (check): check is SceneCheck =>
      check.at === 'scene' && check.scenes.includes(scene) && isAsked(check, contract),
  )
  return own.sort((a, b) => Number(a.endsGuest ?? false) - Number(b.endsGuest ?? false))
}
