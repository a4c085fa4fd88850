import { defineStage, z } from '../src/api.ts'

export const configure_networking = defineStage({
  name: 'configure_networking',
  summary:
    'names interfaces eth0, eth1, …, sets the host name and no resolver, and has SSH host keys made at first boot',
  from: import.meta.url,
  settings: {
    /**
     * Resolvers until DHCP or CloudStack sets others. Every machine that starts on a private network would ask public
     * ones.
     * @default none
     */
    nameservers: z.array(z.union([z.ipv4(), z.ipv6()])).default([]),
  },
  // trixie prefers dhcpcd, but CloudStack's scripts call dhclient, and an interface must have only one client.
  packages: () => ['ifupdown', 'iproute2', 'isc-dhcp-client', 'openssh-server'],
  environment: (settings, image) => ({
    SYSTEM_HOSTNAME: image.hostname,
    SYSTEM_DOMAIN: image.domain,
    NAMESERVERS: settings.nameservers.join(' ') || 'none',
  }),
  leaves: () => [
    '/etc/hostname',
    '/etc/hosts',
    '/etc/iproute2/rt_tables',
    '/etc/network/interfaces',
    '/etc/systemd/network/99-default.link',
    '/etc/systemd/system/ifup@.service.d/systemvm.conf',
    '/etc/systemd/system/ssh-host-keys.service',
  ],
  timeoutSeconds: 300,
})
