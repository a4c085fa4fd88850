import { defineStage } from '../src/api.ts'

export const cleanup = defineStage({
  name: 'cleanup',
  summary: 'nothing left of the build: no keys, identities, logs, caches or documentation',
  from: import.meta.url,
  environment: (_settings, image) => ({ LANGUAGE_KEPT: image.locale.replace(/[_.@].*/, '') }),
  leaves: () => ['/etc/machine-id', '/var/log', '/usr/share/man'],
  // It unlinks tens of thousands of files, and may purge packages, which rebuilds what they were part of.
  timeoutSeconds: 1800,
})
