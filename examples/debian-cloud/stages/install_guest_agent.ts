import { defineStage, z } from 'systemvm-image'

export const install_guest_agent = defineStage({
  name: 'install_guest_agent',
  summary: 'installs the QEMU guest agent, which starts where the host gives it a channel',
  from: import.meta.url,
  settings: {
    /**
     * Requests of the host that the agent refuses, such as `guest-exec`.
     * @default none
     */
    refused: z.array(z.string().regex(/^guest-[a-z-]+$/, 'must be a command like guest-exec')).default([]),
  },
  packages: () => ['qemu-guest-agent'],
  environment: ({ refused }) => ({ REFUSED: refused.join(',') }),
  leaves: () => ['/usr/sbin/qemu-ga', '/etc/default/qemu-guest-agent'],
  timeoutSeconds: 120,
})
