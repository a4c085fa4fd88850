/** Every target, one a line. What depends on which there are is in `registry.ts`. */

export { hyperv } from './hyperv.ts'
export { kvm } from './kvm.ts'
export { raw } from './raw.ts'
export { virtualbox } from './virtualbox.ts'
export { vmware } from './vmware.ts'
export { xenserver } from './xenserver.ts'
