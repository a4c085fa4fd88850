import { defineStage } from '../src/api.ts'

export const configure_locale = defineStage({
  name: 'configure_locale',
  summary: 'generates the only locale of the image, and makes it the default',
  from: import.meta.url,
  packages: () => ['locales'],
  environment: (_settings, image) => ({ SYSTEM_LOCALE: image.locale }),
  leaves: () => ['/etc/default/locale', '/etc/locale.gen', '/usr/lib/locale/locale-archive'],
  timeoutSeconds: 600,
})
