import { defineStage } from '../src/api.ts'

export const zerodisk = defineStage({
  name: 'zerodisk',
  summary: 'discards all free blocks, so that the image contains none of them',
  from: import.meta.url,
  leaves: () => [],
  timeoutSeconds: 900,
})
