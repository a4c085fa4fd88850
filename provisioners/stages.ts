/** The stages that suit any appliance, `import … from 'systemvm-image/stages'`. The others serve system VMs alone. */

export { apt_upgrade } from './apt_upgrade.ts'
export { build_time } from './build_time.ts'
export { cleanup } from './cleanup.ts'
export { configure_grub } from './configure_grub.ts'
export { configure_locale } from './configure_locale.ts'
export { zerodisk } from './zerodisk.ts'
