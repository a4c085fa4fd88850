import { defineStage } from '../src/api.ts'

export const cleanup = defineStage({
  name: 'cleanup',
  summary: 'removes what the build left: keys, identities, logs, caches, and documentation',
  from: import.meta.url,
  environment: (_settings, image) => ({ LANGUAGE_KEPT: image.locale.replace(/[_.@].*/, '') }),
  leaves: () => ['/etc/machine-id', '/var/log', '/usr/share/man'],
  // It unlinks tens of thousands of files, and may purge packages, which rebuilds what they were part of.
  timeoutSeconds: 1800,
})
