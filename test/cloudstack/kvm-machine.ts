/** A machine of a KVM host, also where its processor is emulated. */

import { type DeviceModel, hiddenCpu } from '../../src/targets/device-model.ts'
import { deviceModels } from '../../src/targets/registry.ts'
import { arch } from './image.ts'

/**
 * CloudStack's scripts wait for the boot arguments only where virt-what says `kvm`. Of an emulated machine it says `qemu`: arguments
 * that came a moment late would be missed. So the machine has the names that KVM's own distribution gives it.
 */
export const kvmMachine: DeviceModel = {
  ...deviceModels.virtio,
  maker: { manufacturer: 'Red Hat', product: 'KVM' },
  ...(arch === 'x86_64' ? { cpuFeatures: { kvm: [], tcg: hiddenCpu.tcg } } : {}),
}
