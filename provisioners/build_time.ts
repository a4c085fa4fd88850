import { defineStage } from '../src/api.ts'

export const build_time = defineStage({
  name: 'build_time',
  summary: 'records what this image is: its product, release, variant, and the date of its sources',
  from: import.meta.url,
  environment: (_settings, image) => ({
    PRODUCT: image.name,
    RELEASE: image.release,
    VARIANT: image.variant,
  }),
  leaves: () => ['/etc/systemvm-build'],
  timeoutSeconds: 120,
})
