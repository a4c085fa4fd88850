/** Every target, one line each. `registry.ts` derives the rest. */

export { hyperv } from './hyperv.ts'
export { kvm } from './kvm.ts'
export { raw } from './raw.ts'
export { virtualbox } from './virtualbox.ts'
export { vmware } from './vmware.ts'
export { xenserver } from './xenserver.ts'
