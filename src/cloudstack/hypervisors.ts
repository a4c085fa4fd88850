/** Targets in the terms of CloudStack's API and of its script that seeds system VM templates. */

import type { TargetName } from '../targets/registry.ts'

export interface CloudHypervisor {
  readonly hypervisor: string
  readonly format: string
  /** For `cloud-install-sys-tmplt -h`. */
  readonly seed: string
}

/** Only targets whose templates can be registered through CloudStack's API. */
export const cloudHypervisors: Readonly<Partial<Record<TargetName, CloudHypervisor>>> = {
  kvm: { hypervisor: 'KVM', format: 'QCOW2', seed: 'kvm' },
  xenserver: { hypervisor: 'XenServer', format: 'VHD', seed: 'xenserver' },
  vmware: { hypervisor: 'VMware', format: 'OVA', seed: 'vmware' },
  hyperv: { hypervisor: 'Hyperv', format: 'VHD', seed: 'hyperv' },
}
