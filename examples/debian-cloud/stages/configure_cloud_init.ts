import { defineStage, z } from 'systemvm-image'

export const configure_cloud_init = defineStage({
  name: 'configure_cloud_init',
  summary: 'sets up cloud-init, which takes name, keys and network from a seed, and grows the root',
  from: import.meta.url,
  settings: {
    /**
     * Where cloud-init looks for a seed, in this order.
     * @default ['NoCloud', 'None']
     */
    sources: z
      .array(z.string().regex(/^[A-Za-z]+$/, "must be a data source's name"))
      .default(['NoCloud', 'None']),
  },
  packages: () => ['cloud-guest-utils', 'cloud-init', 'fdisk', 'openssh-server', 'sudo', 'systemd-resolved'],
  environment: ({ sources }, image) => ({
    SOURCES: sources.join(', '),
    ACCOUNT: image.account.name,
    ACCOUNT_FULL_NAME: image.account.fullName,
    ACCOUNT_GROUPS: image.account.groups.join(', '),
  }),
  leaves: () => ['/etc/cloud/cloud.cfg.d/90-appliance.cfg', '/etc/resolv.conf'],
  timeoutSeconds: 300,
})
