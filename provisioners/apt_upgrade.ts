import { defineStage, z } from '../src/api.ts'

export const apt_upgrade = defineStage({
  name: 'apt_upgrade',
  summary: 'configures signed package sources, upgrades all packages, and reserves no blocks for root',
  from: import.meta.url,
  settings: {
    /**
     * Adds the suite's backports. Nothing is upgraded to them by itself: apt ranks them below the suite.
     * @default false
     */
    backports: z.boolean().default(false),
  },
  packages: () => ['debian-archive-keyring', 'e2fsprogs'],
  environment: (settings, image) => ({
    SUITE: image.suite,
    MIRROR: image.mirror.debian,
    SECURITY_MIRROR: image.mirror.security,
    COMPONENTS: image.mirror.components.join(' '),
    KEYRING: image.mirror.keyring,
    BACKPORTS: settings.backports ? 'yes' : 'no',
    SNAPSHOT: image.mirror.snapshot === undefined ? 'no' : 'yes',
  }),
  leaves: () => ['/etc/apt/sources.list.d/debian.sources'],
  network: true,
  // Most of it is unpacking: a point release upgraded in an emulated guest takes a good half hour.
  timeoutSeconds: 5400,
})
