import { defineStage } from '../src/api.ts'

export const configure_persistent_config = defineStage({
  name: 'configure_persistent_config',
  summary: 'creates the folder in which a virtual router keeps its configuration',
  from: import.meta.url,
  leaves: () => ['/etc/cloudstack/.keep'],
  timeoutSeconds: 120,
})
