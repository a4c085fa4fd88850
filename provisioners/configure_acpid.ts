import { defineStage } from '../src/api.ts'

export const configure_acpid = defineStage({
  name: 'configure_acpid',
  summary: 'makes the power button power the system VM off',
  from: import.meta.url,
  packages: () => ['acpid'],
  leaves: () => ['/etc/acpi/events/power', '/usr/local/sbin/power.sh'],
  timeoutSeconds: 300,
})
