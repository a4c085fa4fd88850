import { defineStage, z } from '../src/api.ts'

export const configure_conntrack = defineStage({
  name: 'configure_conntrack',
  summary:
    'loads connection tracking helpers at boot, and makes conntrackd restart when killed and keep no log file',
  from: import.meta.url,
  settings: {
    /**
     * Modules to load at boot; each must exist in the image's kernel. The NAT helpers bring their tracking halves.
     * GRE and IPv4 tracking are no modules of their own any more.
     * @default FTP, PPTP and TFTP, tracking and NAT
     */
    modules: z
      .array(z.string().regex(/^[a-z0-9_]+$/, 'must be the name of a kernel module, e.g. nf_conntrack_ftp'))
      .min(1)
      .default([
        'nf_conntrack',
        'nf_conntrack_ftp',
        'nf_conntrack_pptp',
        'nf_conntrack_tftp',
        'nf_nat_ftp',
        'nf_nat_pptp',
        'nf_nat_tftp',
      ]),
  },
  packages: () => ['conntrackd', 'kmod'],
  environment: (settings) => ({ MODULES: settings.modules.join(' ') }),
  leaves: () => [
    '/etc/conntrackd/conntrackd.conf',
    '/etc/modules-load.d/systemvm-conntrack.conf',
    '/etc/systemd/system/conntrackd.service.d/systemvm.conf',
  ],
  timeoutSeconds: 300,
})
