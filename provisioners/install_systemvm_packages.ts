import { defineStage } from '../src/api.ts'
import { systemvmPackages } from './systemvm_packages.ts'

export const install_systemvm_packages = defineStage({
  name: 'install_systemvm_packages',
  summary: 'installs all packages of the system VM, and answers their questions',
  from: import.meta.url,
  packages: (_settings, image) => systemvmPackages(image.suite, image.debianArch),
  environment: (_settings, image) => ({
    PACKAGES: systemvmPackages(image.suite, image.debianArch).join(' '),
  }),
  leaves: () => ['/etc/default/sysstat', '/usr/bin/java', '/usr/bin/dhcp_release', '/usr/bin/growpart'],
  network: true,
  // Enough to install all of them in an emulated guest, if the base lacks them.
  timeoutSeconds: 7200,
})
